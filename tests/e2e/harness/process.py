"""Programs that a test starts and ends."""

import subprocess


def end(process: subprocess.Popen, output) -> None:
    """Ends this process and no other, and closes the file it writes to."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    output.close()
