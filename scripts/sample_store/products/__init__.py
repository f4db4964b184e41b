"""Collect every product type declared in this folder's modules and, for training, in training_products.

It knows no Blender and no studio.
"""

import importlib
import pkgutil
from collections.abc import Iterable

from sample_store import training_products
from sample_store.spec import ProductType


def load_types(split: str = "shop") -> dict[str, ProductType]:
    """Import every module of the split's folders and return the product types by name, in alphabetical order.

    The shop knows this folder's types alone; the train split knows training_products as well. Raises ValueError when
    two modules declare the same name.
    """
    types = _declared(__name__, __path__)
    if split != "shop":
        extra = _declared(training_products.__name__, training_products.__path__)
        twice = types.keys() & extra.keys()
        if twice:
            raise ValueError(f"product type {min(twice)!r} is declared twice")
        types |= extra
    return dict(sorted(types.items()))


def _declared(package: str, folders: Iterable[str]) -> dict[str, ProductType]:
    """Return the types that a package's modules list in TYPES."""
    types: dict[str, ProductType] = {}
    for module_info in pkgutil.iter_modules(folders):
        module = importlib.import_module(f"{package}.{module_info.name}")
        for product_type in getattr(module, "TYPES", ()):
            if product_type.name in types:
                raise ValueError(f"product type {product_type.name!r} is declared twice")
            types[product_type.name] = product_type
    return types
