"""Looks at the promises of a partition that are Python modules, for the program that this text is part of.

It runs in the Python of the release, since the modules need what was built there: slapos.core's GenericPromise, and whatever a promise
imports. Standard input is one JSON object that says what to do; standard output is a JSON line for each promise, in the order asked. Each
promise runs in a process of its own, which is ended when its time is over. Never imports anything but the standard library by itself.
"""

import ast
import importlib
import json
import os
import select
import signal
import sys
import time
import traceback

GRACE = 1.0


class Queue(list):
    """Where a promise leaves its result: what it takes for a queue between processes."""

    def put(self, result, *_args, **_options):
        self.append(result)

    put_nowait = put


def main():
    task = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w")
    # What a promise prints is no answer.
    os.dup2(2, 1)
    folder = os.path.dirname(task["promises"][0]["path"])
    mark_as_package(folder)
    sys.path[0:0] = [folder]
    warm_up(task["promises"][0]["path"])
    os.chdir(task["folder"])
    may_bang = True
    for promise in task["promises"]:
        answer = look(task, promise, may_bang)
        if answer.get("type") == "Anomaly Result" and answer["failed"]:
            # One bang has the whole instance looked at.
            may_bang = False
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def mark_as_package(folder):
    """The peer's node leaves this file, and modules may import each other through it."""
    marker = os.path.join(folder, "__init__.py")
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        os.chmod(marker, 0o644)
    except OSError:
        pass


def warm_up(path):
    """Imports what all promises import, once for all of them: a promise says first where that is."""
    before = list(sys.path)
    try:
        with open(path) as file:
            tree = ast.parse(file.read())
        first = next(one for one in tree.body if isinstance(one, ast.Assign))
        is_path = ast.dump(first.targets[0]) == ast.dump(ast.parse("sys.path[0:0] = []").body[0].targets[0])
        if is_path:
            sys.path[0:0] = ast.literal_eval(first.value)
        importlib.import_module("slapos.grid.promise")
    except Exception:
        # The promise itself says better what is missing.
        sys.path[:] = before


def look(task, promise, may_bang):
    begin = time.time()
    source, target = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(source)
        try:
            os.setpgid(0, 0)
            answer = answer_of(task, promise, may_bang)
        except BaseException:
            answer = {"broken": traceback.format_exc()[-5000:]}
        text = json.dumps(answer).encode()
        while text:
            text = text[os.write(target, text) :]
        os._exit(0)
    os.close(target)
    text = read(source, begin + task["seconds"])
    os.close(source)
    end(process)
    answer = {"silent": "Error: Promise timed out after %d seconds" % task["seconds"]}
    if text is not None:
        try:
            answer = json.loads(text)
        except ValueError:
            answer = {"silent": "Error: No output returned by the promise"}
    answer["seconds"] = time.time() - begin
    return answer


def answer_of(task, promise, may_bang):
    name = promise["name"]
    queue = Queue()
    config = {
        "name": name,
        "path": promise["path"],
        "queue": queue,
        "debug": False,
        "log-folder": task["log"],
        "partition-folder": task["folder"],
        "promise-timeout": task["seconds"],
        "partition-id": task["partition"],
        "computer-id": task["computer"],
        "master-url": task["master"],
        "partition-cert": task["certificate"],
        "partition-key": task["key"],
    }
    module = importlib.import_module(os.path.splitext(name)[0])
    for key, value in getattr(module, "extra_config_dict", {}).items():
        if key in config:
            raise ValueError("extra_config_dict may not set %r" % key)
        config[key] = value
    one = module.RunPromise(config)
    answer = {
        "minutes": one.getPeriodicity(),
        "tested": getattr(one, "isTested", lambda: True)(),
        "anomaly": getattr(one, "isAnomalyDetected", lambda: True)(),
    }
    one.run(task["anomaly"], may_bang and task["anomaly"])
    result = queue[-1].item
    answer.update(
        type=result.type(),
        failed=bool(result.hasFailed()),
        message=str(result.message or ""),
    )
    return answer


def read(source, deadline):
    """All that a process writes, or nothing if it takes too long."""
    text = b""
    while True:
        rest = deadline - time.time()
        if rest <= 0 or not select.select([source], [], [], rest)[0]:
            return None
        piece = os.read(source, 65536)
        if not piece:
            return text.decode("utf-8", "replace")
        text += piece


def end(process):
    """Ends a process, if it has not ended, and its children."""
    deadline = time.time() + GRACE
    is_asked = False
    while True:
        if os.waitpid(process, os.WNOHANG)[0]:
            break
        if not is_asked:
            kill(process, signal.SIGTERM)
            is_asked = True
        if time.time() > deadline:
            kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            break
        time.sleep(0.005)
    kill(process, signal.SIGKILL)


def kill(process, number):
    try:
        os.killpg(process, number)
    except OSError:
        pass


main()
