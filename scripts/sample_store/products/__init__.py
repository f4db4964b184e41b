"""Collect every product type declared in this folder's modules. It knows no Blender and no studio."""

import importlib
import pkgutil

from sample_store.spec import ProductType


def load_types() -> dict[str, ProductType]:
    """Import every module of this folder and return its product types by name, in alphabetical order.

    Raises ValueError when two modules declare the same name.
    """
    types: dict[str, ProductType] = {}
    for module_info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        for product_type in getattr(module, "TYPES", ()):
            if product_type.name in types:
                raise ValueError(f"product type {product_type.name!r} is declared twice")
            types[product_type.name] = product_type
    return dict(sorted(types.items()))
