"""Adds the optional Rust kernel; everything else is in pyproject.toml."""

from setuptools import setup
from setuptools_rust import Binding, RustExtension

setup(
    rust_extensions=[
        RustExtension(
            "twofold._native",
            path="native/Cargo.toml",
            binding=Binding.PyO3,
            py_limited_api=True,
            optional=True,  # without a Rust tool chain the specification in twofold.rsync runs instead
            debug=False,
        )
    ],
    zip_safe=False,
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
