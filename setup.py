"""Maps the top-level folders into one import namespace, ``parcours``.

The folders stand side by side in the checkout (``transforms/decode.py``) and are installed under one
name (``parcours.transforms.decode``). There is no ``parcours/`` folder: the mapping below is all of it.
"""

from setuptools import find_packages, setup

ROOMS = ["schemas*", "quality*", "transforms*", "kpis*", "pipelines*"]
SOURCES = find_packages(include=ROOMS)

setup(
    packages=[f"parcours.{name}" for name in SOURCES],
    package_dir={f"parcours.{name}": name.replace(".", "/") for name in SOURCES},
    # SQL of one step and Avro schemas stand in folders of their own, which are no packages
    package_data={"": ["py.typed", "*.sql", "*/*.sql", "*/*.avsc", "*.toml"]},
    include_package_data=True,
)
