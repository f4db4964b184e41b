"""Tables as shops have them: delimited text, Excel, JSON, XML and Parquet become columns of cells as given."""

from imgsearch.ingest.tables.reading import TABLE_SUFFIXES, is_table_name, read_table
from imgsearch.ingest.tables.table import Table, TableColumn, TableLimits

__all__ = ["TABLE_SUFFIXES", "Table", "TableColumn", "TableLimits", "is_table_name", "read_table"]
