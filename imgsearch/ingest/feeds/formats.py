"""The formats of feeds: which columns tell them, name their products and photos, and have which meaning.

All names here are plain ones (`imgsearch.ingest.tables.names`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

CANONICAL = (
    "title", "description", "price", "sale_price", "brand", "category", "url", "availability", "gtin", "mpn", "sku",
)  # fmt: skip
"""The names of metadata columns that every shop format shares."""


@dataclass(frozen=True, slots=True)
class FeedFormat:
    """A format.

    A table is of the format if it has a column of each group of `signature`. `product` are the columns of which the
    first filled one is a product's id; `groups` those whose equal values join rows into one product, where they are
    other columns. `images` are the columns of photos, in their order; `position` orders the photos of a product.
    `meanings` names the columns for each canonical one, the first filled one first. Metadata `by_photo` are of a
    row's photo, all others of the product.
    """

    name: str
    label: str
    signature: tuple[frozenset[str], ...] = ()
    product: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    position: str = ""
    meanings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_photo: frozenset[str] = frozenset()
    dropped: frozenset[str] = frozenset()

    @property
    def is_shop(self) -> bool:
        """Whether it is a format of other programs, whose columns get canonical names."""
        return bool(self.signature)

    def fits(self, names: Collection[str]) -> bool:
        """Return whether a table with columns of these plain names is of the format."""
        return bool(self.signature) and all(not group.isdisjoint(names) for group in self.signature)


def _any(*names: str) -> frozenset[str]:
    return frozenset(names)


MANIFEST = FeedFormat("manifest", "a table of photos", product=("id", "item_id"))

SHOPIFY = FeedFormat(
    "shopify",
    "Shopify products",
    signature=(
        _any("handle"),
        _any("image_src", "images_src", "variant_image", "image_position"),
    ),
    product=("handle",),
    images=("image_src", "images_src", "variant_image"),
    position="image_position",
    meanings={
        "title": ("title",),
        "description": ("body_html", "body"),
        "price": ("variant_price", "variants_price"),
        "brand": ("vendor",),
        "category": ("type", "product_type", "product_category", "standardized_product_type"),
        "gtin": ("variant_barcode", "variants_barcode"),
        "sku": ("variant_sku", "variants_sku"),
    },
    by_photo=_any("image_alt_text", "image_position"),
)
WOOCOMMERCE = FeedFormat(
    "woocommerce",
    "WooCommerce products",
    # Exports have the names of columns in the shop's language.
    signature=(
        _any("images", "bilder", "imágenes", "immagini", "afbeeldingen"),
        _any(
            "regular_price", "in_stock", "visibility_in_catalog", "regulärer_preis", "tarif_régulier",
            "precio_normal", "prezzo_di_listino", "reguliere_prijs",
        ),
        _any("name", "sku", "artikelnummer", "nom", "nombre", "nome", "naam"),
    ),
    product=("sku", "artikelnummer", "ugs", "id"),
    groups=("parent", "übergeordnetes_produkt", "superior", "genitore"),
    images=("images", "bilder", "imágenes", "immagini", "afbeeldingen"),
    meanings={
        "title": ("name", "nom", "nombre", "nome", "naam"),
        "description": ("description", "short_description", "beschreibung", "descripción", "descrizione"),
        "price": (
            "regular_price", "regulärer_preis", "tarif_régulier", "precio_normal", "prezzo_di_listino",
            "reguliere_prijs",
        ),
        "sale_price": ("sale_price", "angebotspreis", "tarif_promo", "precio_rebajado", "prezzo_in_offerta"),
        "brand": ("brands", "brand", "marken", "marke", "marques", "marcas"),
        "category": ("categories", "kategorien", "catégories", "categorías", "categorie"),
        "url": ("external_url", "permalink", "externe_url"),
        "availability": ("in_stock", "vorrätig", "en_stock", "inventario"),
        "gtin": ("gtin_upc_ean_or_isbn", "gtin_upc_ean_oder_isbn", "gtin"),
        "sku": ("sku", "artikelnummer", "ugs"),
    },
)  # fmt: skip
GOOGLE = FeedFormat(
    "google",
    "Google Merchant",
    signature=(_any("image_link"), _any("id"), _any("title", "price", "availability", "link")),
    product=("id",),
    images=("image_link", "additional_image_link", "additional_image_links"),
    meanings={
        "title": ("title", "structured_title_content"),
        "description": ("description", "structured_description_content"),
        "price": ("price",),
        "sale_price": ("sale_price",),
        "brand": ("brand",),
        "category": ("product_type", "google_product_category"),
        "url": ("link",),
        "availability": ("availability",),
        "gtin": ("gtin",),
        "mpn": ("mpn",),
        "sku": ("sku",),
    },
)
MAGENTO = FeedFormat(
    "magento",
    "Magento products",
    signature=(_any("sku"), _any("base_image")),
    product=("sku",),
    images=("base_image", "additional_images", "additional_image"),
    meanings={
        "title": ("name",),
        "description": ("description", "short_description"),
        "price": ("price",),
        "sale_price": ("special_price",),
        "brand": ("brand", "manufacturer"),
        "category": ("categories", "category"),
        "url": ("url_key",),
        "availability": ("is_in_stock",),
        "gtin": ("gtin", "ean", "upc"),
        "mpn": ("mpn",),
        "sku": ("sku",),
    },
    dropped=_any("small_image", "thumbnail_image", "swatch_image"),
)

FORMATS: dict[str, FeedFormat] = {
    each.name: each for each in (SHOPIFY, MAGENTO, GOOGLE, WOOCOMMERCE, MANIFEST)
}
"""The formats by name, in the order in which a table is compared with them."""


def recognised_format(names: Collection[str]) -> FeedFormat:
    """Return the format of a table with columns of these plain names; `MANIFEST` where none fits."""
    return next((each for each in FORMATS.values() if each.fits(names)), MANIFEST)
