"""Seizes the worker processes of a node, as somebody would who has broken out of a guest, and makes system calls in them.

Each call is made by the worker's own first thread, with the registers that it would have put there itself; its strings
lie below its stack. So the answer is the kernel's to that process: the filter, its namespaces, its user. Denied is
`EPERM` or `ENOSYS` and nothing else; a call that failed for a wrong argument was looked at. Afterwards the thread goes on
where it was. For x86-64, and for who may trace the node's processes (root): elsewhere it says what is missing, after it
has looked at what the kernel says of the workers. Whoever may trace and cannot has found something, and fails.
"""
import ctypes, errno, os, platform, signal, struct, sys, time

NODE = int(sys.argv[2])
SEIZE, INTERRUPT, GETREGS, SETREGS, STEP, DETACH = 0x4206, 0x4207, 12, 13, 9, 17
# Of user_regs_struct (sys/user.h).
R10, R9, R8, RAX, RDX, RSI, RDI, ORIGINAL, RIP, RSP, WORDS = 7, 8, 9, 10, 12, 13, 14, 15, 16, 19, 27
# The right to trace others (linux/capability.h), and how often a thread is looked for at a system call.
CAP_SYS_PTRACE, LOOKS = 19, 200
ARGUMENTS = RDI, RSI, RDX, R10, R8, R9
HERE, NOWHERE = -100, 0

# What is tried: a name, the number of the system call, its arguments.
ATTEMPTS = [
    # Files.
    ("read a file", 257, (HERE, b"/etc/passwd", 0, 0)),
    ("read a file in the old way", 2, (b"/etc/passwd", 0, 0)),
    ("read own memory", 257, (HERE, b"/proc/self/mem", 2, 0)),
    ("open the root", 257, (HERE, b"/", 0, 0)),
    ("make a file", 257, (HERE, b"/x", 0o101, 0o600)),
    ("open in the new way", 437, (HERE, b"/", NOWHERE, 24)),
    ("open by handle", 304, (HERE, NOWHERE, 0)),
    ("make a folder", 258, (HERE, b"/d", 0o700)),
    ("remove a file", 263, (HERE, b"/etc/passwd", 0)),
    ("rename", 316, (HERE, b"/etc/passwd", HERE, b"/x", 0)),
    ("link", 265, (HERE, b"/etc/passwd", HERE, b"/x", 0)),
    ("make a link", 266, (b"/etc/passwd", HERE, b"/x")),
    ("change a mode", 268, (HERE, b"/", 0o777)),
    ("change an owner", 260, (HERE, b"/", 0, 0, 0)),
    ("make a device", 259, (HERE, b"/x", 0o20600, 0x103)),
    ("go to a folder", 80, (b"/",)),
    ("watch files", 294, (0,)),
    ("ask for a file system", 137, (b"/", NOWHERE)),
    ("read a folder", 217, (0, NOWHERE, 0)),
    # Processes.
    ("fork", 57, ()),
    ("make a process", 56, (signal.SIGCHLD, NOWHERE, NOWHERE, NOWHERE, NOWHERE)),
    ("make a process in the new way", 435, (NOWHERE, 0)),
    ("execute", 59, (b"/bin/sh", NOWHERE, NOWHERE)),
    ("execute by descriptor", 322, (0, b"", NOWHERE, NOWHERE, 0x1000)),
    ("signal the node", 62, (NODE, 0)),
    ("signal everybody", 62, (-1, 0)),
    ("signal the node's thread", 234, (NODE, NODE, 0)),
    ("trace the node", 101, (SEIZE, NODE, NOWHERE, NOWHERE)),
    ("read the node's memory", 310, (NODE, NOWHERE, 0, NOWHERE, 0, 0)),
    ("write the node's memory", 311, (NODE, NOWHERE, 0, NOWHERE, 0, 0)),
    ("hold the node", 434, (NODE, 0)),
    ("take a descriptor", 438, (0, 0, 0)),
    ("compare with the node", 312, (NODE, NODE, 0, 0, 0)),
    ("be important", 141, (0, 0, -5)),
    ("leave its session", 112, ()),
    ("choose a processor", 203, (0, 0, NOWHERE)),
    ("raise a limit", 302, (0, 7, NOWHERE, NOWHERE)),
    # Privileges.
    ("be root", 105, (0,)),
    ("be root's group", 106, (0,)),
    ("be root in all ways", 117, (0, 0, 0)),
    ("join groups", 116, (0, NOWHERE)),
    ("take capabilities", 126, (NOWHERE, NOWHERE)),
    ("change its personality", 135, (0x40000,)),
    ("be looked at", 157, (4, 1, 0, 0, 0)),
    # The kernel.
    ("leave its namespaces", 272, (0x10000000,)),
    ("join a namespace", 308, (0, 0)),
    ("mount", 165, (NOWHERE, b"/", b"tmpfs", 0, NOWHERE)),
    ("unmount", 166, (b"/", 2)),
    ("change its root", 161, (b"/",)),
    ("turn the root round", 155, (b"/", b"/")),
    ("load a program into the kernel", 321, (0, NOWHERE, 0)),
    ("count events", 298, (NOWHERE, 0, -1, -1, 0)),
    ("handle faults", 323, (0,)),
    ("make a ring", 425, (1, NOWHERE)),
    ("use a ring", 426, (0, 0, 0, 0, 0, 0)),
    ("use a keyring", 250, (0, -3, 0, 0, 0)),
    ("add a key", 248, (b"user", b"k", NOWHERE, 0, -3)),
    ("load a module", 175, (NOWHERE, 0, b"")),
    ("read the kernel's log", 103, (3, NOWHERE, 0)),
    ("name the host", 170, (b"x", 1)),
    ("set the clock", 227, (0, NOWHERE)),
    ("swap", 167, (b"/x", 0)),
    ("account", 163, (b"/x",)),
    ("start another kernel", 246, (0, 0, NOWHERE, 0)),
    ("make secret memory", 447, (0,)),
    # Others of the machine.
    ("speak to the internet", 41, (2, 1, 0)),
    ("speak to the internet in the new way", 41, (10, 1, 0)),
    ("send a datagram", 41, (2, 2, 0)),
    ("speak to the machine", 41, (1, 1, 0)),
    ("speak to the kernel", 41, (16, 3, 0)),
    ("speak to the hypervisor", 41, (40, 1, 0)),
    ("make a pair", 53, (1, 1, 0, NOWHERE)),
    ("connect", 42, (0, NOWHERE, 0)),
    ("listen", 50, (0, 1)),
    ("share memory", 29, (0, 4096, 0o1600)),
    ("send messages", 68, (0, 0o1600)),
    ("control a device", 16, (0, 0x541B, NOWHERE)),
]

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


class Refused(Exception):
    pass


def ptrace(request, pid, address=None, data=None):
    if libc.ptrace(request, pid, address, data) < 0:
        raise Refused(os.strerror(ctypes.get_errno()))


class Captured:
    """The first thread of a process that has stopped in a system call."""

    def __init__(self, pid):
        self.pid = pid
        self.memory = open(f"/proc/{pid}/mem", "r+b", buffering=0)
        for _ in range(LOOKS):
            ptrace(SEIZE, pid)
            ptrace(INTERRUPT, pid)
            os.waitpid(pid, 0x40000000)
            self.before = self.registers()
            self.memory.seek(self.before[RIP] - 2)
            if self.memory.read(2) == b"\x0f\x05":
                return
            # It computes: it will wait for something soon.
            ptrace(DETACH, pid)
            time.sleep(0.05)
        raise Refused("its thread is never at a system call")

    def registers(self):
        space = (ctypes.c_uint64 * WORDS)()
        ptrace(GETREGS, self.pid, None, ctypes.cast(space, ctypes.c_void_p))
        return list(space)

    def put(self, registers):
        space = (ctypes.c_uint64 * WORDS)(*registers)
        ptrace(SETREGS, self.pid, None, ctypes.cast(space, ctypes.c_void_p))

    def call(self, number, arguments):
        registers, room = list(self.before), self.before[RSP] - 1024
        registers[RAX], registers[ORIGINAL], registers[RIP] = number, 2**64 - 1, self.before[RIP] - 2
        for where, argument in zip(ARGUMENTS, arguments):
            if isinstance(argument, bytes):
                self.memory.seek(room)
                self.memory.write(argument + b"\0")
                argument, room = room, room + 32
            registers[where] = argument % 2**64
        self.put(registers)
        ptrace(STEP, self.pid)
        pid, status = os.waitpid(self.pid, 0x40000000)
        if not os.WIFSTOPPED(status):
            return 0
        return struct.unpack("q", struct.pack("Q", self.registers()[RAX]))[0]

    def release(self):
        self.put(self.before)
        ptrace(DETACH, self.pid)


def workers():
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                parent = int(open(f"/proc/{name}/stat").read().rsplit(")", 1)[1].split()[1])
                words = open(f"/proc/{name}/cmdline", "rb").read().split(b"\0")
            except OSError:
                continue
            if parent == NODE and b"__worker" in words:
                yield int(name)


def status(pid):
    return {name: value.strip() for name, value in (line.rstrip("\n").split(":", 1) for line in open(f"/proc/{pid}/status"))}


def marks(pid):
    """What anybody may read of the process, as far as it is not as it should be."""
    want = {"NoNewPrivs": "1", "Seccomp": "2", "CapPrm": "0" * 16, "CapEff": "0" * 16, "CapBnd": "0" * 16}
    have = status(pid)
    return [f"{name} of a worker is {have[name]}" for name, value in want.items() if have[name] != value]


def walls(pid):
    """The same of what those who may trace it can read."""
    wrong = ["files in its root"] if os.listdir(f"/proc/{pid}/root") else []
    for kind in ("mnt", "net", "ipc", "uts"):
        if os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{NODE}/ns/{kind}"):
            wrong.append(f"the node's namespace {kind}")
    return wrong


def lacking():
    """Why nobody here can be a captor, if it is not for what the workers are."""
    if platform.machine() != "x86_64":
        return "registers are those of x86-64, this machine is " + platform.machine()
    if not int(status("self")["CapEff"], 16) >> CAP_SYS_PTRACE & 1:
        return "this user has not CAP_SYS_PTRACE, so it cannot trace a worker of the node"
    return None


def main():
    all_of_them = list(workers())
    others = [wrong for pid in all_of_them for wrong in marks(pid)]
    if (why := lacking()) and all_of_them and not others:
        return print("skip: " + why)
    denied, tried, seized = 0, 0, 0
    for pid in all_of_them:
        try:
            others += walls(pid)
            captured = Captured(pid)
        except (OSError, Refused) as refused:
            others.append(f"a worker is not to be captured: {refused}")
            continue
        seized += 1
        for name, number, arguments in ATTEMPTS:
            done = captured.call(number, arguments)
            tried += 1
            if done in (-errno.EPERM, -errno.ENOSYS):
                denied += 1
            else:
                others.append(f"{name}: {done}")
        captured.release()
    print(f"{len(ATTEMPTS)} {seized} {denied} {tried} {others[:4]}")


main()
