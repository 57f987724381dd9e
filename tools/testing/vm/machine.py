#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Starts QEMU with the test machine and watches it until it ends.

Runs inside the build root. The console and the results of the guest arrive on
two serial ports; both are kept in files and shown live. The exit status is 0
if the guest ran its job to the end, the job succeeded, and nothing went wrong
in the kernel log.
"""

import argparse
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time

import ivrs
import splats

HERE = os.path.dirname(os.path.abspath(__file__))
# Seconds. A quiet host boots the debug kernel in 40. What else the host has to do
# must not end a run: time for which QEMU waited for a processor does not count.
BOOT_LIMIT = 400
# How much longer than the guest's own limit a program may take before the host
# steps in.
GRACE = 120
# Of a guest, unless told otherwise.
MEMORY = "6G"
# For unloading the modules and looking for leaks.
UNLOAD_LIMIT = 900
# QEMU with a thread for each processor loses a write to a device once in a great while
# (README.rst). For what the write of the queue's tail sets off, of all registers, the driver
# waits with interrupts off, so that the guest hangs. Its kernel reports that, again and again.
QUEUE_WAIT = re.compile(r"\bqi_submit_sync\+")
# The IOMMU's registers that say how far it is in the queue, and where that ends: Intel
# Virtualization Technology for Directed I/O, 11.4.9.
QUEUE_HEAD_AND_TAIL = 0xfed90000 + 0x80
# Seconds between two reports that count.
QUEUE_PAUSE = 20
# Exit status: the emulator failed the guest.
LOST_WRITE = 4
# QEMU arguments for each kind of IOMMU. They come before the devices that it serves.
# Only the first one lets processors have x2APIC as QEMU has it here.
IOMMUS = {
    "intel": ["-device", "intel-iommu,intremap=on,eim=on,caching-mode=on"],
    # As hardware is. In caching mode the kernel flushes whenever it maps something, and waits for
    # the one IOMMU that there is.
    "intel-uncached": ["-device", "intel-iommu,intremap=on,eim=on"],
    "amd": ["-device", "amd-iommu"],
    "amd-intremap": ["-device", "amd-iommu,intremap=on"],
    "virtio": ["-device", "virtio-iommu-pci,addr=0x1c"],
    "none": [],
}


def addresses():
    """The table of devices: name to PCI address."""
    table = {}
    with open(os.path.join(HERE, "devices"), encoding="ascii") as lines:
        for line in lines:
            match = re.match(r"([A-Z0-9_]+)=(\S+)$", line)
            if match:
                table[match[1]] = match[2]
    return table


def slot(address):
    """The addr= of a device on its bus."""
    return "0x" + address.rsplit(":", 1)[1]


def pluggable():
    """Devices that the guest can have unplugged and plugged in: id to properties."""
    return {
        "port-ivshmem": {"driver": "ivshmem-plain", "bus": "ivshmemport",
                         "addr": slot(addresses()["PORT_IVSHMEM"])},
    }


def memory(name, number):
    """The object with the memory of a pluggable device that is plugged in for the nth time."""
    return {"qom-type": "memory-backend-ram", "id": f"{name}-{number}", "size": 16 << 20,
            "share": True}


def device_arguments(out, iommu):
    """QEMU arguments that plug in every device of the table; with virtio-iommu but those behind the
    conventional bridge: QEMU's refuses the identity by which the bridge may ask for them, and then
    Linux takes no device at all."""
    at = {name: slot(address) for name, address in addresses().items()}
    for name in ("nvme", "port-nvme"):
        with open(f"{out}/{name}.img", "wb") as image:
            image.truncate(64 << 20)
    devices = [
        f"edu,addr={at['EDU']},dma_mask=0xffffffffffffffff",
        f"pci-testdev,id=testdev,addr={at['TESTDEV']},membar=4G",
        f"ivshmem-plain,addr={at['IVSHMEM']},memdev=ivshmem",
        f"nvme,addr={at['NVME']},serial=vfio-nvme,drive=nvme,cmb_size_mb=64",
        f"e1000e,addr={at['E1000E']},netdev=e1000e",
        f"igb,addr={at['IGB']},netdev=igb",
        "pcie-root-port,id=rootport,addr=0xa.0,chassis=1",
        f"nvme,bus=rootport,addr={at['PORT_NVME']},serial=port-nvme,"
        "drive=port-nvme,msix_qsize=128",
        "pcie-pci-bridge,id=bridge,addr=0xb.0",
        f"edu,bus=bridge,addr={at['SHARED_EDU']},dma_mask=0xffffffffffffffff",
        f"pci-testdev,bus=bridge,addr={at['SHARED_TESTDEV']}",
        f"VGA,addr={at['VGA']}",
        f"virtio-net-pci,addr={at['VIRTIO_NET']},netdev=virtio-net,"
        "disable-legacy=on,iommu_platform=on",
        "pcie-root-port,id=igbport,addr=0xe.0,chassis=2",
        f"igb,bus=igbport,addr={at['PORT_IGB']},netdev=port-igb",
        "pcie-root-port,id=ivshmemport,addr=0xf.0,chassis=3",
        f"nec-usb-xhci,addr={at['XHCI']}",
        "pcie-root-port,id=dualport,addr=0x11.0,chassis=4",
        f"igb,bus=dualport,addr={at['DUAL_IGB_0']},multifunction=on,"
        "x-pcie-ari-nextfn-1=on,netdev=dual-igb-0",
        f"igb,bus=dualport,addr={at['DUAL_IGB_1']},netdev=dual-igb-1",
    ]
    if iommu == "virtio":
        devices = [device for device in devices if "bus=bridge" not in device]
    arguments = []
    for name, properties in pluggable().items():
        backend = memory(name, 0)
        arguments += ["-object", json.dumps(backend)]
        devices.append(json.dumps({**properties, "id": name, "memdev": backend["id"]}))
    arguments += [
        "-object", f"memory-backend-file,id=ivshmem,size=64M,share=on,mem-path={out}/ivshmem",
        "-drive", f"if=none,id=nvme,format=raw,file={out}/nvme.img",
        "-drive", f"if=none,id=port-nvme,format=raw,file={out}/port-nvme.img",
        "-netdev", "user,id=e1000e,restrict=on",
        "-netdev", "user,id=igb,restrict=on",
        "-netdev", "user,id=port-igb,restrict=on",
        "-netdev", "user,id=virtio-net,restrict=on",
        "-netdev", "user,id=dual-igb-0,restrict=on",
        "-netdev", "user,id=dual-igb-1,restrict=on",
        # Native PCIe hotplug, which the kernel of the guest has, not that of ACPI.
        "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
    ]
    for device in devices:
        arguments += ["-device", device]
    return arguments


def share_arguments(tag, path, how, address):
    """QEMU arguments that offer a directory by 9p."""
    return ["-fsdev", f"local,id={tag},path={path},security_model=none,{how}",
            "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag},addr={address}"]


def processor_wait(process):
    """Seconds for which the busy thread that was worst off has waited for a processor."""
    delays = []
    tasks = f"/proc/{process}/task"
    try:
        for thread in os.listdir(tasks):
            with open(f"{tasks}/{thread}/schedstat", encoding="ascii") as file:
                ran, delay, _ = map(int, file.read().split())
            # Threads that sleep all the time say nothing.
            if ran > 1e9:
                delays.append(delay / 1e9)
    except (OSError, ValueError):
        # The thread, or QEMU, has ended; or the kernel does not tell.
        pass
    return max(delays, default=0)


class Machine:
    """One run of QEMU."""

    def __init__(self, options):
        self.options = options
        self.log = {}
        self.ours = {}
        self.tail = {"console": b"", "results": b"", "qmp": b""}
        # Devices that are on their way out, and whether to plug them in again then.
        self.leaving = {}
        self.plugged = 0
        self.program = "boot"
        self.process = None
        self.allow(BOOT_LIMIT)
        self.ended = None
        self.unloaded = None
        self.hung = False
        self.overtime = []
        self.missing = []
        self.booted = False
        # Where the console was before the kernel's first complaint; what was in the IOMMU's
        # registers then, and when; whether QEMU has lost a write to them.
        self.before_stall = None
        self.queue_seen = (None, 0)
        self.lost = False

    @staticmethod
    def tsc_frequency():
        """Of the guest's TSC, which is the host's, for the kernel's command line. What the guest
        measures at boot is wrong by a factor of ten if the host has no processor for it for a
        moment, and so is its clock then."""
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            text = file.read()
        # Where the TSC is constant the kernel makes the number of its frequency, times two.
        megahertz = re.search(r"^bogomips\s*: ([0-9.]+)$", text, re.MULTILINE)
        if not megahertz or not re.search(r"^flags\s*:.* constant_tsc\b", text, re.MULTILINE):
            return ""
        return f" tsc_early_khz={round(float(megahertz[1]) * 500)}"

    def command(self, theirs):
        """The QEMU command line."""
        options = self.options
        # no_timer_check: on a busy host the timer can look dead for a moment.
        # pcie_ports=native: error reports and hot plug of ports, for which a kernel
        # without power management of links would not ask the firmware.
        # Debian's kernel has a driver that takes the conventional bridge, so that the
        # group behind it is not viable; and keeps /dev/mem from what drivers have.
        append = ("console=ttyS0 intel_iommu=on,sm_off panic=-1 loglevel=7 "
                  "pcie_ports=native initcall_blacklist=shpcd_init iomem=relaxed "
                  "tsc=reliable no_timer_check highres=off nohz=off "
                  + ("hugepagesz=1G hugepages=2 " if options.memory == MEMORY else "")
                  + "hugepagesz=2M hugepages=64 default_hugepagesz=2M "
                  + options.append)
        # Most of the time of the debug kernel is kmemleak's: it walks the stack twice for each
        # allocation, and ACPI makes thousands of them whenever a device is enabled.
        if not options.leaks:
            append += " kmemleak=off"
        # Several threads take x2APIC: QEMU loses accesses to the memory-mapped local APIC
        # of a processor while another one makes it rebuild the memory map, as each write
        # of a memory enable bit does. Instructions can be counted in one thread only.
        counting = "-icount" in options.qemu
        # To QEMU the timer of x2APIC, unlike one in memory, is no device that may tell the
        # time: "Bad icount read", when the guest sets it.
        if counting:
            append += " nox2apic"
        else:
            append += self.tsc_frequency()
        alone = counting or options.single_thread or not options.iommu.startswith("intel")
        threads = "single" if alone else "multi"
        processors = options.cpus or (1 if counting else 2)
        arguments = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot",
            "-display", "none",
            "-machine", "q35,kernel-irqchip=split",
            # No la57: while the kernel looks at the boot processor it thinks for a
            # moment that there are only four levels, and an interrupt then makes
            # KASAN report every address.
            "-accel", f"tcg,thread={threads}", "-cpu", "max,la57=off",
            "-smp", str(processors), "-m", options.memory,
            "-kernel", options.kernel, "-initrd", self.initrd(),
            "-append", append,
        ]
        arguments += IOMMUS[options.iommu]
        if options.interactive:
            arguments += ["-chardev", "stdio,id=console,mux=off,signal=off"]
        else:
            arguments += ["-chardev", f"socket,id=console,fd={theirs['console']}"]
        arguments += ["-serial", "chardev:console"]
        arguments += ["-chardev", f"socket,id=results,fd={theirs['results']}",
                      "-serial", "chardev:results"]
        arguments += ["-chardev", f"socket,id=qmp,fd={theirs['qmp']}",
                      "-mon", "chardev=qmp,mode=control"]
        if options.share:
            arguments += share_arguments("root", options.share, "readonly=on,multidevs=remap",
                                         "0x1e")
        if options.out_share:
            os.makedirs(f"{options.out}/share", exist_ok=True)
            arguments += share_arguments("out", f"{options.out}/share", "readonly=off", "0x1d")
        return arguments + device_arguments(options.out, options.iommu) + options.qemu

    def initrd(self):
        """The initramfs, with the table that AMD's interrupt remapping takes."""
        if self.options.iommu != "amd-intremap":
            return self.options.initrd
        path = f"{self.options.out}/initrd-ivrs.img"
        with open(path, "wb") as image, open(self.options.initrd, "rb") as initrd:
            image.write(ivrs.archive())
            shutil.copyfileobj(initrd, image)
        return path

    def run(self):
        """Runs QEMU to its end; returns the exit status for the caller."""
        theirs = {}
        for name in ("console", "results", "qmp"):
            ours, other = socket.socketpair()
            self.ours[name] = ours
            theirs[name] = other
            self.log[name] = open(f"{self.options.out}/{name}.log", "wb")
        numbers = {name: end.fileno() for name, end in theirs.items()}
        with open(f"{self.options.out}/qemu.log", "wb") as errors:
            process = self.process = subprocess.Popen(
                self.command(numbers), pass_fds=list(numbers.values()),
                stdin=None if self.options.interactive else subprocess.DEVNULL,
                stdout=None if self.options.interactive else errors, stderr=errors)
        for end in theirs.values():
            end.close()
        try:
            self.qmp("qmp_capabilities")
            self.watch(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
        return self.verdict()

    def qmp(self, name, label=None, **arguments):
        """Sends a command to QEMU's monitor, without waiting for the answer."""
        command = {"execute": name, "arguments": arguments}
        if label:
            command["id"] = label
        text = json.dumps(command)
        try:
            self.ours["qmp"].sendall(text.encode() + b"\n")
        except OSError:
            pass

    def allow(self, seconds):
        """Sets the time limit of what comes next."""
        self.limit = seconds
        self.begin = time.monotonic()
        self.wait_before = self.wait_so_far()

    def waited(self):
        """Seconds of that for which QEMU has waited for a processor."""
        return self.wait_so_far() - self.wait_before

    def wait_so_far(self):
        return processor_wait(self.process.pid) if self.process else 0

    def is_overdue(self):
        """Is the time limit over, not counting the time without a processor?"""
        took = time.monotonic() - self.begin
        return took > self.limit and took > self.limit + self.waited()

    def unplug(self, name):
        """Asks the guest's kernel to let go of a device; QEMU tells when it has."""
        self.leaving[name] = False
        self.qmp("device_del", id=name)

    def plug(self, name):
        """Plugs in a device that was unplugged, as it was."""
        if name in self.leaving:
            self.leaving[name] = True
            return
        # QEMU cannot use the memory of a device again for the next one.
        self.plugged += 1
        backend = memory(name, self.plugged)
        self.qmp("object-add", **backend)
        self.qmp("device_add", id=name, memdev=backend["id"], **pluggable()[name])

    def follow_qmp(self, line):
        """Acts on what QEMU says."""
        message = json.loads(line)
        if message.get("id") == "queue":
            self.follow_queue(message.get("return", ""))
        elif "error" in message:
            self.show(f"vm: QEMU refuses: {message['error'].get('desc')}")
        elif message.get("event") == "DEVICE_DELETED":
            name = message["data"].get("device")
            if self.leaving.pop(name, False):
                self.plug(name)

    def follow_console(self, line, begin):
        """Looks for a processor that waits for the IOMMU, in a line that begins there."""
        if self.before_stall is None and re.search(splats.STALL, line):
            self.before_stall = begin
        if QUEUE_WAIT.search(line) and self.options.iommu.startswith("intel"):
            self.qmp("human-monitor-command", label="queue",
                     **{"command-line": f"xp /2gx {QUEUE_HEAD_AND_TAIL:#x}"})

    def follow_queue(self, text):
        """Takes the IOMMU's registers, as of a report of a processor that waits for it. If the
        IOMMU has done all that it was told, then and at the report before, it was not
        told what the processor waits for."""
        registers = re.search(r": (0x[0-9a-f]+) (0x[0-9a-f]+)", text)
        idle = registers and registers[1] == registers[2]
        before, when = self.queue_seen
        now = time.monotonic()
        if not idle or registers[0] != before:
            self.queue_seen = (registers[0] if idle else None, now)
        elif now >= when + QUEUE_PAUSE:
            self.lost = True

    def sysrq(self, letter):
        """A magic SysRq key by way of a break on the console."""
        self.qmp("chardev-send-break", id="console")
        time.sleep(0.2)
        if not self.options.interactive:
            self.ours["console"].sendall(letter.encode())
        time.sleep(1)

    def watch(self, process):
        """Reads the ports until QEMU ends or time is over."""
        selector = selectors.DefaultSelector()
        for name, end in self.ours.items():
            selector.register(end, selectors.EVENT_READ, name)
        while selector.get_map():
            for entry, _ in selector.select(timeout=1):
                try:
                    data = entry.fileobj.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    selector.unregister(entry.fileobj)
                    continue
                self.take(entry.data, data)
            if self.lost:
                process.kill()
                return
            if not self.options.interactive and self.is_overdue():
                if self.hung:
                    process.kill()
                    return
                self.show(f"vm: the host's time limit, {self.limit} s, is over in: {self.program} "
                          f"(not counting {self.waited():.0f} s without a processor)")
                self.hung = True
                self.allow(60)
                for letter in "9wlt":
                    self.sysrq(letter)

    def take(self, name, data):
        """Keeps and shows what came from one port; follows the guest's lines."""
        self.log[name].write(data)
        self.log[name].flush()
        begin = self.log[name].tell() - len(data) - len(self.tail[name])
        *lines, self.tail[name] = (self.tail[name] + data).split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r")
            if name == "qmp":
                self.follow_qmp(line)
            elif name == "results":
                self.follow(line)
            elif name == "console":
                self.follow_console(line, begin)
            begin += len(raw) + 1
            if name != "qmp" and self.visible(name, line):
                self.show(line)

    def visible(self, name, line):
        if self.options.interactive:
            return False
        if self.options.quiet:
            return name == "results" and line.startswith(("vm: program", "vm: exit", "not ok"))
        if line.startswith("vm: device ") and not line.endswith(" missing"):
            return self.options.console
        return name == "results" or self.options.console

    def show(self, line):
        print(line, flush=True)

    def follow(self, line):
        """Acts on the lines by which the guest says where it is."""
        words = line.split()
        if words[:1] != ["vm:"] or len(words) < 3:
            return
        if line.startswith("vm: time limit"):
            self.overtime.append(self.program)
        elif words[1] == "boot":
            self.booted = True
            self.allow(self.options.limit + GRACE)
        elif words[1] == "program" and "limit" in words:
            self.program = words[2]
            self.allow(int(words[-1]) + GRACE)
        elif words[1] == "exit":
            self.program = "what follows " + words[2]
            self.allow(self.options.limit + GRACE)
        elif words[1] in ("plug", "unplug") and words[2] in pluggable():
            getattr(self, words[1])(words[2])
        elif words[1] == "device" and words[-1] == "missing":
            if self.options.iommu != "virtio" or not words[2].startswith("SHARED_"):
                self.missing.append(words[2])
        elif words[1] == "unloading":
            self.program = "unloading the modules"
            self.allow(UNLOAD_LIMIT)
        elif words[1] == "unload":
            self.unloaded = words[2] == "ok"
        elif words[1] == "end":
            self.ended = int(words[2])
            self.allow(60)

    def verdict(self):
        """Says what went wrong, if anything; returns the exit status."""
        status = 0
        found = splats.scan(f"{self.options.out}/console.log",
                            self.before_stall if self.lost else None)
        with open(f"{self.options.out}/verdict.json", "w", encoding="ascii") as file:
            json.dump({"booted": self.booted, "splats": len(found), "unloaded": self.unloaded,
                       "ended": self.ended, "hung": self.hung, "overtime": self.overtime}, file)
        if not self.booted and not self.options.interactive:
            with open(f"{self.options.out}/qemu.log", encoding="utf-8", errors="replace") as log:
                reason = log.read().strip()
            with open(f"{self.options.out}/console.log", encoding="utf-8", errors="replace") as log:
                self.show("\n".join("    " + line for line in log.read().splitlines()[-15:]))
            self.show("error: QEMU did not boot the kernel" + (f": {reason}" if reason else ""))
            self.show(f"       The console is in {self.options.show_out}/console.log.")
            return 3
        for text in found:
            self.show("vm: SPLAT in the kernel log:")
            self.show(text)
            status = 1
        if self.lost:
            program = self.program.removeprefix("what follows ")
            with open(f"{self.options.out}/lost", "w", encoding="ascii") as file:
                file.write(program)
            self.show(f"vm: QEMU LOST A WRITE to the IOMMU in {program}: it is idle, and a "
                      "processor of the guest waits for it")
            self.show(f"vm: logs in {self.options.show_out}")
            return LOST_WRITE
        if self.hung:
            self.show(f"vm: HUNG in {self.program}; blocked tasks are in the console log")
            status = 1
        elif self.overtime:
            self.show(f"vm: TIME LIMIT hit in {' '.join(self.overtime)}; "
                      "blocked tasks are in the console log")
            status = 1
        elif self.ended is None:
            self.show("vm: the guest ended before its job did")
            status = 1
        elif self.ended:
            self.show(f"vm: the job failed with status {self.ended}")
            status = 1
        if self.missing:
            self.show(f"vm: the guest has no {' '.join(self.missing)}")
            status = 1
        if self.unloaded is False:
            self.show("vm: the modules could not be unloaded")
            status = 1
        self.show(f"vm: {'ok' if status == 0 else 'FAILED'}; logs in {self.options.show_out}")
        return status


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--out", required=True, help="directory for logs and images")
    parser.add_argument("--show-out", help="the same directory as people see it")
    parser.add_argument("--append", default="", help="more for the kernel command line")
    parser.add_argument("--no-leaks", dest="leaks", action="store_false",
                        help="without kmemleak, where the kernel has it")
    parser.add_argument("--limit", type=int, default=600, help="seconds for the job")
    parser.add_argument("--cpus", type=int, help="default: 2, or 1 where instructions are counted")
    parser.add_argument("--single-thread", action="store_true",
                        help="emulate all processors in one thread, for guests without x2APIC")
    parser.add_argument("--iommu", choices=IOMMUS, default="intel",
                        help="but for the default: emulated in one thread, without x2APIC")
    parser.add_argument("--memory", default=MEMORY, help="with less, no pages of 1 GiB")
    parser.add_argument("--interactive", action="store_true")
    parser.add_argument("--console", action="store_true", help="show the kernel log too")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--share", nargs="?", const="/", metavar="DIRECTORY",
                        help="offer the build root, or this part of it, by 9p")
    parser.add_argument("--out-share", action="store_true",
                        help="offer a directory next to the logs by 9p, for writing")
    parser.add_argument("qemu", nargs="*", help="more arguments for QEMU")
    options = parser.parse_args()
    options.show_out = options.show_out or options.out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(Machine(options).run())


if __name__ == "__main__":
    main()
