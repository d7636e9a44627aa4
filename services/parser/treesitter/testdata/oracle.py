"""Writes the functions and classes of the standard library as CPython's own ast sees them, one JSON object a file."""
import ast
import json
import os
import sys
import sysconfig
import warnings

warnings.simplefilter("ignore")
root = sysconfig.get_path("stdlib")
kinds = {ast.FunctionDef: "function", ast.AsyncFunctionDef: "function", ast.ClassDef: "class"}

for folder, folders, files in os.walk(root):
    folders[:] = sorted(f for f in folders if f not in ("site-packages", "test", "tests", "idle_test", "__pycache__"))
    for name in sorted(files):
        path = os.path.join(folder, name)
        if not name.endswith(".py") or os.path.getsize(path) > 1 << 20:
            continue
        with open(path, "rb") as f:
            source = f.read()
        try:
            tree = ast.parse(source)
            text = source.decode("utf-8")
        except (SyntaxError, ValueError):
            continue
        exact = [
            {"name": n.name, "kind": kinds[type(n)], "start": n.lineno, "end": n.end_lineno}
            for n in ast.walk(tree)
            if type(n) in kinds
        ]
        json.dump({"path": os.path.relpath(path, root), "text": text, "exact": exact}, sys.stdout)
        print()
