"""The files that count as inputs of every check, whatever it declares: they decide how any check runs.

They count in any folder of the repository, because workspaces are built from the files of all their members.
One too many here costs a run that was not needed; one that is missing can land what no check has seen.
"""

import re
from fnmatch import translate
from hashlib import sha256
from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LOCK_FILES: Final = _names("""
    bun.lock bun.lockb Cargo.lock composer.lock conda-lock.yml deno.lock flake.lock Gemfile.lock go.sum
    go.work.sum gradle.lockfile mix.lock npm-shrinkwrap.json package-lock.json Package.resolved
    packages.lock.json pdm.lock Pipfile.lock pixi.lock pnpm-lock.yaml poetry.lock pubspec.lock pylock.toml
    requirements.lock uv.lock yarn.lock
""")
"""What exactly is installed."""

BUILD_FILES: Final = _names("""
    .node-version .nvmrc .python-version .ruby-version .tool-versions BUILD build.gradle build.gradle.kts
    build.rs build.sbt BUILD.bazel Cargo.toml CMakeLists.txt composer.json configure.ac deno.json
    Directory.Build.props Dockerfile environment.yml flake.nix Gemfile GNUmakefile go.mod go.work
    gradle.properties justfile Justfile makefile Makefile MANIFEST.in meson.build mix.exs MODULE.bazel
    package.json Package.swift Pipfile pixi.toml pnpm-workspace.yaml pom.xml pubspec.yaml pyproject.toml
    Rakefile rust-toolchain rust-toolchain.toml settings.gradle settings.gradle.kts setup.cfg setup.py
    Taskfile.yml uv.toml WORKSPACE
""")
"""How the project is put together, and with which versions of what."""

CONFIG_FILES: Final = _names("""
    .bandit .clang-format .clang-tidy .coveragerc .editorconfig .flake8 .gitattributes .gitignore .gitmodules
    .golangci.yml .isort.cfg .mypy.ini .npmrc .pre-commit-config.yaml .pylintrc .pytest.ini .rubocop.yml
    .ruff.toml .rustfmt.toml .shellcheckrc .style.yapf .yamllint .yarnrc.yml biome.json clippy.toml
    conftest.py mypy.ini noxfile.py pylintrc pyrightconfig.json pytest.ini ruff.toml rustfmt.toml tox.ini
""")
"""What checks are configured by; and what decides how git writes files, and which of them tools pass over."""

NAME_PATTERNS: Final = (
    ".eslintrc*",
    ".prettierrc*",
    "babel.config.*",
    "constraints*.txt",
    "eslint.config.*",
    "jest.config.*",
    "requirements*.txt",
    "tsconfig*.json",
    "vite.config.*",
    "vitest.config.*",
    "webpack.config.*",
)
"""More of the same that has no single name."""

PATHS: Final = frozenset(("config/orchestrator.yaml", ".cargo/config.toml"))
"""More that counts at this place only."""

RULES: Final = sha256(
    "\0".join(sorted((*LOCK_FILES, *BUILD_FILES, *CONFIG_FILES, *NAME_PATTERNS, *PATHS))).encode()
).hexdigest()[:8]
"""A word for these lists: what was found by other lists says nothing about inputs by these."""

_NAMES: Final = LOCK_FILES | BUILD_FILES | CONFIG_FILES
# One expression and no globs: every path of every tree comes by here.
_PATTERN: Final = re.compile("|".join(map(translate, NAME_PATTERNS)))


def is_shared(path: str) -> bool:
    """Whether a path from the repository's root counts for every check."""
    name = path.rpartition("/")[2]
    return name in _NAMES or _PATTERN.match(name) is not None or path in PATHS
