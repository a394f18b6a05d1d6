"""Unpacks files of a wheel (a zip archive) whose names start with one of the given prefixes.

    python3 tools/unpack_wheel.py torch-*.whl third_party/libtorch torch/lib/libc10 torch/include/

Without prefixes everything is unpacked. Fails when a prefix names nothing.
"""
import pathlib
import sys
import zipfile


def main():
    wheel, target, *prefixes = sys.argv[1:]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for prefix in prefixes:
            if not any(name.startswith(prefix) for name in names):
                sys.exit(f"{pathlib.Path(wheel).name} holds no {prefix}*")
        chosen = [n for n in names if not prefixes or n.startswith(tuple(prefixes))]
        archive.extractall(target, chosen)


if __name__ == "__main__":
    main()
