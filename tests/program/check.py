# SPDX-License-Identifier: MIT
"""check.py - what the scripts of this folder look at in reports, and the prompts they use.

usage: check.py prompt LOCKSTEP MODEL N CORPUS carol|stories     a text of exactly N tokens
       check.py holds REPORT EXPRESSION        true of the report j (a JSON document)?
       check.py match REPORT POSITIONS COSINE  MATCH, complete, every cosine at least that
       check.py claims REPORT IDS CLAIMS       ids and claims in the form recount reads
       check.py cosine A B VOCABULARY BOUND    every pair of rows of two dumps at least that close
       check.py peak LOCKSTEP ARGUMENTS...     peak memory of the program itself, in KiB
"""
import array, json, lzma, math, os, subprocess, sys

OWN_TEXT = ("It was a dark evening in the last week of the year, and the baker's daughter had been sent to "
            "the mill with a message for the miller, who was her uncle. The snow lay deep upon the road, so "
            "that she walked slowly and counted the trees as she went. When she came to the bridge there was "
            "a lamp in the window of the mill, and a great dog came out to meet her and barked twice. ") * 8


def corpus(folder, which):
    if which == "stories":
        path = os.path.join(folder, "stories.txt.xz")
        if os.path.exists(path):
            return lzma.open(path, "rt", encoding="utf-8").read(60000)
    path = os.path.join(folder, "christmas-carol.txt")
    if os.path.exists(path):
        return open(path, encoding="utf-8").read()
    return OWN_TEXT


def count_tokens(program, model, text):
    out = subprocess.run([program, "model", "tokenize", "-m", model, "--ids", "-f", "-"], input=text.encode(),
                         stdout=subprocess.PIPE, check=True).stdout
    return len(out.split())


def prompt(program, model, n, folder, which):
    """The text starts at the beginning of a paragraph and is cut wherever N tokens are full."""
    n, text, start = int(n), corpus(folder, which), 0
    start = text.find("\n\n", len(text) // 3 if len(text) > 20000 else 0) + 2 if "\n\n" in text else 0
    for _ in range(20):
        low, high = 1, 8 * n
        while low < high:
            middle = (low + high) // 2
            if count_tokens(program, model, text[start:start + middle]) < n:
                low = middle + 1
            else:
                high = middle
        for length in range(max(low - 6, 1), low + 7):
            if count_tokens(program, model, text[start:start + length]) == n:
                sys.stdout.buffer.write(text[start:start + length].encode())
                return
        start = text.index(" ", start + 1) + 1
    sys.exit("no cut of the text has %d tokens" % n)


def load(path):
    j = json.load(open(path))
    assert j["schema"] == "lockstep.crossval/1", j["schema"]
    return j


def holds(path, expression):
    j = load(path)
    if not eval("(%s)" % expression, {"j": j, "min": min, "max": max, "len": len, "all": all, "any": any}):
        sys.exit("not so: %s (verdict %s, exit %s, first divergence %s: %s)" % (
            expression, j["verdict"], j["exit_code"], j["summary"]["first_divergence"], j["reason"]))


def match(path, positions, cosine):
    j, positions, cosine = load(path), int(positions), float(cosine)
    assert j["verdict"] == "MATCH" and j["exit_code"] == 0 and j["status"] == "ok", (j["verdict"], j["reason"])
    c = j["coverage"]
    assert c["positions_planned"] == c["positions_compared"] == positions, c
    assert c["logits_compared"] == c["vocab"] > 0, c
    assert len(j["positions"]) == len(j["per_token_cosine_sim"]) == positions
    assert len(j["tokens"]["prompt"]) + len(j["tokens"]["decoded"]) == positions
    for p in j["positions"]:
        assert p["ok"] and p["cosine"] >= cosine and p["cosine_centred"] >= 0.999, p
        assert p["top1_subject"] == p["top1_reference"] or p["flip"] == "near_tie", p
        assert p["flip"] != "flip", p
    assert j["first_divergence_token"] is None and j["divergence_token"] == -1
    print("min cosine %.12f, top-1 %g" % (min(j["per_token_cosine_sim"]), j["summary"]["top1_agreement"]))


def claims(path, ids, out):
    j = load(path)
    prompt, decoded = j["tokens"]["prompt"], j["tokens"]["decoded"]
    with open(ids, "w") as f:
        print(len(prompt), *prompt, *decoded, sep="\n", file=f)
    with open(out, "w") as f:
        print(j["verdict"], j["coverage"]["vocab"], len(j["positions"]), file=f)
        for p, cosine in zip(j["positions"], j["per_token_cosine_sim"]):
            print(repr(cosine), p["top1_subject"], p["top1_reference"], int(p["ok"]), file=f)
    r = j["reference"]
    print(r["n_ctx"], r["batch"], r["threads"], r["kv_type"])


def cosine(a, b, vocabulary, bound):
    x, y, n = array.array("f"), array.array("f"), int(vocabulary)
    for path, v in ((a, x), (b, y)):
        v.frombytes(open(path, "rb").read())
    assert len(x) == len(y) and len(x) >= n and len(x) % n == 0, (len(x), len(y), n)
    worst = 2.0
    for at in range(0, len(x), n):
        r, s = x[at:at + n], y[at:at + n]
        dot = math.fsum(p * q for p, q in zip(r, s))
        norm = math.sqrt(math.fsum(p * p for p in r) * math.fsum(q * q for q in s))
        if not (norm > 0 and dot / norm <= worst):
            assert norm > 0, "a row of zeros or NaN"
        worst = min(worst, dot / norm)
    print("worst cosine %.9f of %d rows" % (worst, len(x) // n))
    assert worst >= float(bound), "the worst cosine is %.9f, not %s" % (worst, bound)


def peak(*command):
    """The report is longer than the pipe, so that the program waits, alive, while its own peak is
    read. The peak of its child, the reference, is not in it."""
    import fcntl
    p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    fcntl.fcntl(p.stdout, 1031, 4096)  # F_SETPIPE_SZ
    first = p.stdout.read(1)
    status = dict(l.split(":", 1) for l in open("/proc/%d/status" % p.pid))
    rest = b"".join(iter(lambda: p.stdout.read(65536), b""))
    if p.wait() != 0 or len(rest) < 8192:
        sys.exit("exit %s, %d bytes: %s" % (p.returncode, len(rest), (first + rest)[-300:]))
    print(int(status["VmHWM"].split()[0]))


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
