"""Maps the top-level folders into one import namespace, ``parcours``.

The folders stand side by side in the checkout (``transforms/decode.py``) and are installed under one
name (``parcours.transforms.decode``). There is no ``parcours/`` folder: the mapping below is all of it.
"""

from setuptools import find_namespace_packages, setup

ROOMS = ["schemas*", "quality*", "transforms*", "kpis*", "serving*", "pipelines*"]
# folders of SQL or Avro schemas are packages too, without __init__: otherwise they would not be installed
SOURCES = find_namespace_packages(include=ROOMS, exclude=["*.__pycache__"])

setup(
    packages=[f"parcours.{name}" for name in SOURCES],
    package_dir={f"parcours.{name}": name.replace(".", "/") for name in SOURCES},
    package_data={"": ["py.typed", "*.sql", "*.avsc", "*.toml"]},
    include_package_data=True,
)
