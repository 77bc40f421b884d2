"""Installs inatdet.

pip install .            reading data and evaluating detections; no TensorFlow
pip install '.[train]'   training and detecting as well
pip install '.[gpu]'     the CUDA libraries that TensorFlow needs on NVIDIA GPUs
pip install '.[dev]'     the test and lint tools
pip install '.[bench]'   what the benchmarks compare with

`-c constraints.txt` pins every package to the versions that the tests run with.
"""

import pathlib

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent

setup(
    name="inatdet",
    version="0.1.0",
    description="A benchmark suite for detecting thousands of species",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["inatdet", "inatdet.*"]),
    package_data={"inatdet.report": ["assets/*"]},
    python_requires=">=3.10,<3.13",
    install_requires=[
        "absl-py>=1.4",
        "hotcoco>=1.3",
        "jinja2>=3.1",
        "matplotlib>=3.8",
        "msgspec>=0.18",
        "numpy>=1.26",
        "pillow>=10.0",
        "pyarrow>=15.0",
        "pycocotools>=2.0.8",
        "pyyaml>=6.0",
        "tqdm>=4.66",
    ],
    extras_require={
        "train": [
            "h5py>=3.10",
            "tensorflow==2.20.*",
            "tf-keras==2.20.*",
            "tf-models-official==2.20.*",
        ],
        "gpu": [
            "tensorflow[and-cuda]==2.20.*",
        ],
        "bench": [
            "faster-coco-eval>=1.6",
            "torch>=2.6",
            "torchvision>=0.21",
        ],
        "dev": [
            "hypothesis>=6.100",
            "pytest>=8.0",
            "ruff>=0.8",
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
    ],
)
