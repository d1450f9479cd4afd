"""What set-up scripts rely on in every base."""
import os
import subprocess
import unittest

from steps import REPOSITORY

ENVIRONMENTS = os.path.join(REPOSITORY, "Environments")
COMMON = os.path.join(ENVIRONMENTS, "common")
NAMES = sorted(
    name for name in os.listdir(ENVIRONMENTS) if os.path.exists(os.path.join(ENVIRONMENTS, name, "environment.yaml"))
)


def run(script, *arguments, **variables):
    return subprocess.run(
        [script] + list(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        env=dict(os.environ, **variables),
        timeout=20,
    )


class Bases(unittest.TestCase):
    def test_sudo_executes_its_arguments(self):
        sudo = os.path.join(COMMON, "sudo")
        for arguments, output in (
            (["echo", "-n", "a"], "a"),
            (["-E", "-H", "-n", "-u", "root", "echo", "a"], "a\n"),
            (["--user=root", "--", "echo", "--", "a"], "-- a\n"),
            (["-u", "root", "X=1 2", "Y=3", "sh", "-c", 'echo "$X$Y"'], "1 23\n"),
            (["sh", "-c", "echo A=b", "C=d"], "A=b\n"),
            (["-v"], ""),
        ):
            with self.subTest(arguments=arguments):
                result = run(sudo, *arguments)
                self.assertEqual((result.returncode, result.stdout), (0, output), result.stderr)
        self.assertEqual(run(sudo, "sh", "-c", "exit 7").returncode, 7)
        self.assertEqual(run(sudo).returncode, 1)

    def test_conda_names_pip(self):
        result = run(os.path.join(COMMON, "no-conda"), "install", "-y", "numpy")
        self.assertEqual(result.returncode, 1)
        self.assertIn("pip install", result.stderr)

    def test_scripts_are_sound(self):
        scripts = [os.path.join(COMMON, name) for name in os.listdir(COMMON)]
        for script in scripts + [os.path.join(ENVIRONMENTS, name, "setup.sh") for name in NAMES]:
            result = run("bash", "-n", script)
            self.assertEqual(result.returncode, 0, result.stderr)


if __name__ == "__main__":
    unittest.main()
