"""The shop's words: what the training pictures are called, and the words that describe them.

It owns these lists, written by us from what shops say; it knows no picture and no network.
"""

from __future__ import annotations

__all__ = [
    "BASIC_COLORS",
    "BASIC_SHADES",
    "CLOTHING",
    "MATERIALS",
    "MERGED_TYPES",
    "PATTERNS",
    "RENDERED",
    "SHADE_WORDS",
    "STYLES",
    "phrases",
]


def phrases(text: str) -> list[str]:
    """Return the comma-separated phrases of a text."""
    return [phrase.strip() for phrase in text.split(",")]


# What the labels of the clothing photos are called; the first is the plainest.
CLOTHING = {
    "T-Shirt": (
        "t-shirt, tshirt, tee, tee shirt, t shirts, graphic tee, crew neck tee, short sleeve t-shirt, "
        "cotton t-shirt, printed t-shirt"
    ),
    "Longsleeve": (
        "long sleeve, longsleeve, long sleeve top, long sleeve t-shirt, long-sleeved shirt, jumper, "
        "sweater, pullover, turtleneck, crew neck sweater"
    ),
    "Pants": (
        "pants, trousers, slacks, chinos, casual trousers, track pants, joggers, sweatpants, leggings, "
        "jeans, cargo pants, tights, capris"
    ),
    "Shoes": ("shoes, shoe, footwear, pair of shoes, casual shoes"),
    "Shirt": (
        "shirt, button-down shirt, dress shirt, formal shirt, checked shirt, casual shirt, "
        "button up shirt, oxford shirt, collared shirt, plaid shirt"
    ),
    "Dress": (
        "dress, gown, summer dress, evening dress, maxi dress, cocktail dress, sundress, frock, kurta, "
        "tunic dress"
    ),
    "Outwear": (
        "jacket, coat, outerwear, outwear, winter jacket, parka, windbreaker, raincoat, overcoat, "
        "puffer jacket, anorak, rain jacket, bomber jacket"
    ),
    "Shorts": ("shorts, short pants, bermuda shorts, swim shorts, denim shorts, board shorts"),
    "Hat": ("hat, cap, baseball cap, beanie, caps, sun hat, headwear, snapback"),
    "Skirt": ("skirt, skirts, mini skirt, pleated skirt, midi skirt, pencil skirt"),
    "Polo": ("polo shirt, polo, polo t-shirt, golf shirt"),
    "Undershirt": (
        "undershirt, tank top, vest, sleeveless top, singlet, innerwear vest, camisole, sleeveless shirt"
    ),
    "Blazer": ("blazer, suit jacket, sport coat, suit, blazers, tuxedo jacket, waistcoat"),
    "Hoodie": ("hoodie, hooded sweatshirt, sweatshirt, hoody, zip hoodie, fleece sweatshirt"),
    "Body": ("baby bodysuit, bodysuit, onesie, romper, baby grow, infant bodysuit"),
    "Top": ("top, crop top, tops, women top, strappy top"),
    "Blouse": ("blouse, blouses, women blouse, silk blouse, tunic"),
}

# What the types of the rendered products are called; a type that is not here goes by its own name.
RENDERED = {
    "armchair": ("armchair, arm chair, easy chair, lounge chair"),
    "backpack": ("backpack, rucksack, back pack, school bag, knapsack, daypack"),
    "bed": ("bed, bed frame, double bed"),
    "bookshelf": ("bookshelf, bookcase, shelf, shelving unit, book shelf"),
    "boot": ("boot, boots, ankle boot, ankle boots, chelsea boots, rain boots, wellies"),
    "bottle": ("bottle, water bottle, flask, carafe"),
    "bowl": ("bowl, bowls, salad bowl"),
    "desk": ("desk, writing desk, office desk, work desk"),
    "desk lamp": ("desk lamp, table lamp, reading lamp"),
    "dining chair": ("dining chair, chair, kitchen chair, wooden chair"),
    "floor lamp": ("floor lamp, standing lamp"),
    "frying pan": ("frying pan, skillet, pan, wok, fry pan"),
    "handbag": (
        "handbag, hand bag, purse, tote bag, shoulder bag, ladies bag, bag, satchel, bucket bag, handbags"
    ),
    "headphones": ("headphones, headphone, headset, earphones"),
    "kettle": ("kettle, tea kettle, electric kettle"),
    "laptop": ("laptop, notebook computer, laptop computer"),
    "monitor": ("monitor, computer monitor, computer screen, display"),
    "mug": ("mug, coffee mug, cup, coffee cup, tea cup"),
    "office chair": ("office chair, desk chair, swivel chair, gaming chair"),
    "pendant lamp": ("pendant lamp, ceiling lamp, hanging lamp, pendant light"),
    "plant pot": ("plant pot, flower pot, planter, potted plant"),
    "sneaker": (
        "sneaker, sneakers, trainers, running shoes, sports shoes, sport shoes, tennis shoes, "
        "gym shoes, trainer shoes, athletic shoes, canvas shoes, plimsolls"
    ),
    "sofa": ("sofa, couch, settee, sectional sofa, loveseat"),
    "speaker": ("speaker, loudspeaker, bluetooth speaker, speakers"),
    "stool": ("stool, bar stool, counter stool"),
    "table": ("table, dining table, coffee table, kitchen table"),
    "vase": ("vase, flower vase, vases"),
    "wall clock": ("wall clock, clock"),
    "watch": ("watch, wristwatch, wrist watch, watches, analog watch, timepiece, sports watch"),
    "umbrella": ("umbrella, parasol, umbrellas"),
    "suitcase": ("suitcase, trolley bag, luggage, trolley suitcase, carry-on, rolling suitcase"),
    "cushion": ("cushion, pillow, throw pillow, cushions"),
    "gloves": ("gloves, glove, mittens, winter gloves"),
    "belt": ("belt, belts, leather belt, waist belt"),
    "tie": ("tie, necktie, ties, neck tie, silk tie"),
    "clutch": ("clutch, clutches, clutch bag, evening bag, clutch purse"),
    "earrings": ("earrings, earring, ear rings, ear studs, hoop earrings, drop earrings"),
    "necklace": (
        "necklace, pendant, necklaces, chain necklace, pendant necklace, necklace and chains, jewellery set"
    ),
    "bracelet": ("bracelet, bangle, bracelets, bangles, wristband, cuff bracelet"),
    "ring": ("ring, rings, finger ring, engagement ring, wedding ring"),
    "cap": ("cap, baseball cap, caps, peaked cap, sports cap"),
    "lipstick": ("lipstick, lip stick, lip colour, lip gloss, lip color, lip balm"),
    "nail polish": ("nail polish, nail varnish, nail lacquer, nail enamel"),
    "socks": ("socks, sock, ankle socks, stockings, pair of socks"),
    "scarf": ("scarf, scarves, shawl, stole, muffler, dupatta, pashmina"),
    "sunglasses": ("sunglasses, shades, sun glasses, eyewear, eyeglasses, glasses, spectacles, aviators"),
    "wallet": ("wallet, wallets, billfold, card holder, purse wallet, leather wallet"),
    "briefs": ("briefs, underwear, underpants, boxer, trunk, trunks, boxers, panties, knickers"),
    "bra": ("bra, brassiere, lingerie, bras, sports bra"),
    "ballet flat": ("ballet flats, flats, ballerinas, flat shoes, ballet shoes, pumps flat"),
    "flip flop": ("flip flops, flip-flops, thongs, slippers, slides, beach slippers, flip flop"),
    "formal shoe": (
        "formal shoes, dress shoes, oxfords, oxford shoes, brogues, derby shoes, lace-up shoes, leather shoes"
    ),
    "high heel": (
        "high heels, heels, pumps, stilettos, high heel shoes, heel, stiletto heels, court shoes, "
        "heeled shoes"
    ),
    "loafer": ("loafers, loafer, moccasins, slip-on shoes, driving shoes"),
    "sandal": ("sandals, sandal, gladiator sandals, strappy sandals, sports sandals"),
    "perfume": (
        "perfume, perfume bottle, fragrance, body mist, deodorant, eau de parfum, cologne, "
        "perfume and body mist"
    ),
    "duffel bag": ("duffel bag, duffle bag, gym bag, travel bag, sports bag, holdall, weekender bag"),
    "hat": ("hat, sun hat, fedora, hats"),
    "sweater": ("sweater, jumper, pullover, cardigan, knitwear"),
    "jeans": ("jeans, denim jeans, denims, blue jeans"),
    "trousers": ("trousers, formal trousers, slacks, chinos, pants"),
}

# Rendered types that are the same thing as a label of the clothing photos.
MERGED_TYPES = {
    "t-shirt": "T-Shirt",
    "shirt": "Shirt",
    "dress": "Dress",
    "skirt": "Skirt",
    "shorts": "Shorts",
    "jacket": "Outwear",
    "trousers": "Pants",
}

# Colour words by the sixteen colours that they are kinds of.
BASIC_COLORS = {
    "black": ("black, jet black, ebony, onyx"),
    "white": ("white, off white, ivory, snow white, off-white"),
    "grey": ("grey, gray, charcoal, silver, slate, grey melange, steel, light grey, dark grey"),
    "red": ("red, scarlet, crimson, cherry red, ruby, vermilion"),
    "maroon": ("maroon, burgundy, wine, wine red, dark red, oxblood"),
    "orange": ("orange, rust, tangerine, coral, peach, burnt orange, copper"),
    "yellow": ("yellow, mustard, lemon, gold, golden, ochre"),
    "green": ("green, emerald, lime green, mint, sage, forest green, light green, dark green"),
    "olive": ("olive, khaki, army green, moss green, olive green"),
    "turquoise": ("turquoise, teal, cyan, aqua, sea green, turquoise blue"),
    "blue": ("blue, royal blue, cobalt, sky blue, light blue, denim blue, baby blue, dark blue, azure"),
    "navy": ("navy, navy blue, midnight blue, indigo"),
    "purple": ("purple, violet, lilac, lavender, mauve, plum, aubergine"),
    "pink": ("pink, rose, magenta, fuchsia, hot pink, blush, salmon pink, dusty pink"),
    "brown": (
        "brown, chocolate, tan, camel, coffee brown, chestnut, cognac, bronze, mushroom brown, walnut brown"
    ),
    "beige": ("beige, cream, sand, nude, taupe, skin, ecru, champagne, stone"),
}

# Which shades (imgsearch.encoders.lite.colors) a basic colour may look like, and what single words mean instead.
BASIC_SHADES = {
    "black": ("black"),
    "white": ("white"),
    "grey": ("grey, silver, charcoal, light grey"),
    "red": ("red"),
    "maroon": ("maroon"),
    "orange": ("orange, coral"),
    "yellow": ("yellow, mustard"),
    "green": ("green, dark green, lime"),
    "olive": ("olive"),
    "turquoise": ("turquoise, teal"),
    "blue": ("blue, sky blue, denim"),
    "navy": ("navy"),
    "purple": ("purple, lavender"),
    "pink": ("pink, magenta, dusty pink"),
    "brown": ("brown, dark brown"),
    "beige": ("beige, cream, tan"),
}

SHADE_WORDS = {
    "gold": ("mustard, tan"),
    "golden": ("mustard, yellow"),
    "silver": ("silver, light grey"),
    "khaki": ("olive, beige"),
    "tan": ("tan"),
    "camel": ("tan"),
    "cream": ("cream"),
    "ivory": ("cream, white"),
    "mustard": ("mustard"),
    "teal": ("teal"),
    "sky blue": ("sky blue"),
    "light blue": ("sky blue"),
    "baby blue": ("sky blue"),
    "charcoal": ("charcoal"),
    "lavender": ("lavender"),
    "lilac": ("lavender"),
    "mint": ("mint"),
    "magenta": ("magenta"),
    "fuchsia": ("magenta"),
    "hot pink": ("magenta"),
    "coral": ("coral"),
    "peach": ("coral, cream"),
    "chocolate": ("dark brown, brown"),
    "bronze": ("tan, brown"),
    "copper": ("tan, coral"),
    "dark green": ("dark green"),
    "forest green": ("dark green"),
    "lime green": ("lime"),
    "denim blue": ("denim"),
    "dark blue": ("navy, blue"),
    "light green": ("mint, lime"),
    "light grey": ("light grey, silver"),
    "dark grey": ("charcoal"),
    "nude": ("beige, cream"),
    "skin": ("beige"),
    "rust": ("orange, brown"),
    "burgundy": ("maroon"),
    "salmon pink": ("coral, dusty pink"),
    "blush": ("dusty pink, pink"),
    "plum": ("purple, maroon"),
    "mauve": ("dusty pink, lavender"),
}

MATERIALS = phrases(
    "leather, canvas, suede, denim, cotton, wool, silk, linen, velvet, fabric, nylon, rubber, plastic, "
    "metal, steel, gold, brass, copper, wood, wooden, oak, walnut, glass, ceramic, marble, knit, mesh, "
    "rattan, stoneware, terracotta, aluminium, iron, lace, satin, fur"
)

# What the patterns of the rendered products are called.
PATTERNS = {
    "plain": ("plain, solid"),
    "stripes": ("striped, stripes, stripy"),
    "checks": ("checked, checkered, plaid, gingham, tartan"),
    "dots": ("dotted, polka dot, spotted, dots"),
    "floral": ("floral, flowery"),
}

STYLES = phrases(
    "casual, formal, classic, modern, vintage, sporty, elegant, slim fit, kids, mens, womens, summer, "
    "winter, party, office, small, large, round, square, printed, minimalist, retro, designer, "
    "comfortable"
)
