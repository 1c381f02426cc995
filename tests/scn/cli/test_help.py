#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Help, completion and the man page of the built program: made of one table, so they name the same commands."""

import re
import subprocess
import sys
import unittest

CLOUDML = sys.argv[1]


def run(*args):
    return subprocess.run([CLOUDML, *args], capture_output=True, text=True, timeout=60)


def commands():
    """Every command of the overview as a list of words."""
    text = run("--help").stdout.split("commands:\n")[1].split("\noptions everywhere")[0]
    return [line[2:].split("  ")[0].split() for line in text.splitlines() if line.startswith("  ")]


class Help(unittest.TestCase):
    def test_every_command_explains_itself(self):
        self.assertGreater(len(commands()), 25)
        for words in commands():
            answer = run(*words, "--help")
            self.assertEqual(answer.returncode, 0, words)
            self.assertIn("usage: cloudml " + " ".join(words), answer.stdout)

    def test_the_man_page_is_well_formed_and_names_every_command_and_option(self):
        page = run("man").stdout
        checked = subprocess.run(["mandoc", "-T", "lint", "-W", "error"], input=page, capture_output=True, text=True, timeout=60)
        self.assertEqual(checked.stdout + checked.stderr, "")
        shown = subprocess.run(["mandoc", "-T", "ascii"], input=page, capture_output=True, text=True, timeout=60).stdout
        shown = re.sub(r".\x08", "", shown)
        flat = " ".join(shown.split())
        for words in commands():
            self.assertIn(" ".join(words), flat)
            for option in re.findall(r" (--[a-z-]+)", run(*words, "--help").stdout):
                self.assertIn(option, flat, words)

    def test_bash_completes_commands_and_options(self):
        script = run("completion", "bash").stdout + """
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cloudml; echo "${COMPREPLY[@]}"; }
complete_words cloudml jo; complete_words cloudml jobs desc; complete_words cloudml jobs submit --fram
"""
        out = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60).stdout.splitlines()
        self.assertEqual(out, ["jobs", "describe", "--framework"])

    def test_slips_get_a_suggestion(self):
        self.assertIn("did you mean 'cloudml jobs list'", run("jobs", "lst").stderr)
        self.assertIn("did you mean 'cloudml jobs'", run("job").stderr)
        self.assertEqual(run("jobs", "lst").returncode, 2)

    def test_without_a_server_the_next_step_is_named(self):
        answer = run("--data", "/nonexistent/cloudml", "jobs", "list")
        self.assertEqual(answer.returncode, 69)
        self.assertIn("cloudml up", answer.stderr)


unittest.main(argv=sys.argv[:1], verbosity=2)
