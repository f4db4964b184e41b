"""Words beside pictures: titles that are searched, filters that a text suggests, misspelt words."""
