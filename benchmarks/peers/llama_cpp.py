"""llama.cpp from the sources that PyPI's llama-cpp-python carries: got, checked, packed, built, model files made."""
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE, VERSION = "llama-cpp-python", "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
IN_SDIST = "/vendor/llama.cpp/"
# What llama-bench and llama-quantize are made of; of ggml's backends the CPU's alone.
KEPT = ("CMakeLists.txt", "LICENSE", "licenses/", "cmake/", "common/", "include/", "src/", "vendor/", "ggml/",
        "tools/llama-bench/", "tools/quantize/")
BACKENDS, CPU_BACKEND = "ggml/src/ggml-", "ggml/src/ggml-cpu/"
PACKED_AS = "llama.cpp"
TOOLS = ("llama-bench", "llama-quantize")
FORMATS = ("q4_1", "q4_0", "q8_0", "f16")


class Failed(Exception):
    """One sentence for the user."""


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def get_sdist(folder):
    """Downloads the sdist with pip; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", PACKAGE, "--dest", str(folder),
               f"{PACKAGE}=={VERSION}"]
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        raise Failed(f"pip could not download {PACKAGE} {VERSION}; --sdist FILE takes a copy of it")
    return folder / f"{PACKAGE.replace('-', '_')}-{VERSION}.tar.gz"


def is_kept(name):
    if name.startswith(BACKENDS) and "/" in name[len(BACKENDS):]:
        return name.startswith(CPU_BACKEND)
    return name.startswith(KEPT)


def kept_files(sdist):
    """(name below llama.cpp, bytes) of what the build needs. The sdist's hash is checked first."""
    if not sdist.is_file():
        raise Failed(f"{sdist} is not a file, want the sdist of {PACKAGE} {VERSION}")
    if sha256_of(sdist) != SHA256:
        raise Failed(f"{sdist} is not the sdist of {PACKAGE} {VERSION}: its SHA-256 differs from {SHA256}")
    with tarfile.open(sdist) as archive:
        for member in archive:
            _, found, name = member.name.partition(IN_SDIST)
            if found and member.isfile() and is_kept(name):
                yield name, archive.extractfile(member).read()


def pack(sdist, out):
    """Writes the sources that the build needs to one .tar.xz, the same bytes every time."""
    partial = out.with_name(out.name + ".partial")
    with tarfile.open(partial, "w:xz") as archive:
        for name, data in sorted(kept_files(sdist)):
            member = tarfile.TarInfo(f"{PACKED_AS}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    os.replace(partial, out)


def unpack(source, folder):
    """The folder with llama.cpp's sources: `source` itself, or what the sdist or packed archive holds."""
    if source.is_dir():
        return source.resolve()
    sources = folder / PACKED_AS
    if sources.exists():
        return sources
    partial = folder / "unpacking"
    shutil.rmtree(partial, ignore_errors=True)
    if source.name.endswith(".tar.xz"):
        try:
            with tarfile.open(source) as archive:
                files = [(m.name, archive.extractfile(m).read()) for m in archive if m.isfile()]
        except (OSError, tarfile.TarError, EOFError) as error:
            raise Failed(f"{source} cannot be unpacked: {error}") from error
    else:
        files = [(f"{PACKED_AS}/{name}", data) for name, data in kept_files(source)]
    for name, data in files:
        path = partial / name
        if not path.resolve().is_relative_to(partial.resolve() / PACKED_AS):
            raise Failed(f"{source} holds {name}, want files below {PACKED_AS}/ only")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    os.replace(partial / PACKED_AS, sources)
    return sources


def build(sources, folder, jobs):
    """Returns the folder with the two programs; builds what is missing."""
    programs = folder / "build" / "bin"
    if all((programs / tool).exists() for tool in TOOLS):
        return programs
    configure = ["cmake", "-S", str(HERE / "llama_tools"), "-B", str(folder / "build"), "-DCMAKE_BUILD_TYPE=Release",
                 f"-DLLAMA_CPP={sources}"]
    if shutil.which("ninja") and not (folder / "build" / "CMakeCache.txt").exists():
        configure += ["-G", "Ninja"]
    make = ["cmake", "--build", str(folder / "build"), "-j", str(jobs), "--target", *TOOLS]
    with open(folder / "build.log", "a") as log:
        for command in (configure, make):
            if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode != 0:
                raise Failed(f"building llama.cpp failed; {log.name} says why")
    return programs


def make_models(model, formats, programs, folder, threads):
    """{format: path}: the model's file in each format; its own format is the file itself."""
    models = {}
    for name in formats:
        if f".{name}." in model.name.lower():
            models[name] = model
            continue
        path = folder / f"{model.stem}.{name}.gguf"
        if not path.exists():
            partial = path.with_suffix(".partial")
            command = [str(programs / "llama-quantize"), "--allow-requantize", str(model), str(partial), name.upper(),
                       str(threads)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                raise Failed(f"llama-quantize made no {name} of {model}: {done.stdout.strip().splitlines()[-1:]}")
            os.replace(partial, path)
        models[name] = path
    return models
