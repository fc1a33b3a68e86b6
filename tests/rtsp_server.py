"""A real RTSP server for tests, in a process of its own that can be killed, frozen and restarted.

    with RtspServer(clip) as server:        # an mp4 with H.264 and, if you like, AAC; it loops
        open_something(server.url)          # rtsp://127.0.0.1:PORT/stream
        server.kill()                       # SIGKILL: clients see the connection break
        server.restart()                    # on the same port; `restart(other)` with another clip
        server.freeze(); server.thaw()      # SIGSTOP, SIGCONT: a peer that says nothing at all
        server.switch(other)                # clients get the other clip in mid-stream
        server.drop()                       # hangs up on every client; they may come back
        server.frames_sent, server.clients  # pictures sent to all clients so far; clients now

Keywords of RtspServer: `user`, `password` (then `url` holds them and `url_with(user, password)` any
others), `scheme` "digest" or "basic", `transports` ("tcp", "udp"), `burst_s`: so much of the stream
comes at once after PLAY, as from servers that keep the last group of pictures.

Pictures go out in real time with RTP times that begin anywhere, sound in step with them. Every wait
has a deadline. Also runs alone: `python tests/rtsp_server.py CLIP --port 8554 [--user U ...]`; it
then takes the lines `switch CLIP`, `drop` and `stats` on stdin.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import os
import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import av

START_S = 20.0
ANSWER_S = 5.0
NTP_EPOCH_S = 2_208_988_800
VIDEO_TYPE, SOUND_TYPE = 96, 97
VIDEO_CLOCK = 90_000
LARGEST_PAYLOAD = 1400
# A server that was stopped for longer goes on from now instead of sending what it missed.
LARGEST_DELAY_S = 1.0
REPORT_EVERY_S = 2.0
OPTIONS = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RtspServer:
    """Starts and steers the server's process; see the top of this file."""

    def __init__(self, clip, *, user=None, password=None, scheme="digest",
                 transports=("tcp", "udp"), burst_s=0.0):  # fmt: skip
        self.clip = Path(clip)
        self.port = free_port()
        self.user, self.password = user, password
        self._options = ["--scheme", scheme, "--transports", ",".join(transports)]
        self._options += ["--burst", str(burst_s)]
        if user is not None:
            self._options += ["--user", user, "--password", password or ""]
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def address(self) -> str:
        """The URL without user and password."""
        return f"rtsp://127.0.0.1:{self.port}/stream"

    @property
    def url(self) -> str:
        """The URL that opens, with user and password if there are any."""
        return self.address if self.user is None else self.url_with(self.user, self.password)

    def url_with(self, user: str, password: str) -> str:
        """The URL with other credentials."""
        return f"rtsp://{user}:{password}@127.0.0.1:{self.port}/stream"

    def start(self) -> None:
        """Start the process and wait until it listens."""
        assert self._process is None, "it runs already"
        command = [sys.executable, __file__, str(self.clip), "--port", str(self.port)]
        self._process = subprocess.Popen(
            command + self._options, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._line(START_S) == "ready"

    def kill(self) -> None:
        """End the process at once (SIGKILL); harmless when it has ended."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(ANSWER_S)
            process.stdin.close()
            process.stdout.close()

    def restart(self, clip=None) -> None:
        """Kill the process if it runs; start it on the same port, with another clip if given."""
        self.kill()
        self.clip = Path(clip or self.clip)
        self.start()

    def freeze(self) -> None:
        """Stop the process where it is: connections stay open and nothing answers any more."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._process.send_signal(signal.SIGCONT)

    def switch(self, clip) -> None:
        """Go on with another clip (another size, say) in the same connections."""
        self._ask(f"switch {clip}")

    def drop(self) -> None:
        """Hang up on every client."""
        self._ask("drop")

    @property
    def frames_sent(self) -> int:
        """Pictures sent to all clients since the process started."""
        return int(self._ask("stats").split()[0])

    @property
    def clients(self) -> int:
        """Clients that are connected."""
        return int(self._ask("stats").split()[1])

    def _ask(self, command: str) -> str:
        os.write(self._process.stdin.fileno(), f"{command}\n".encode())
        return self._line(ANSWER_S)

    def _line(self, within_s: float) -> str:
        """The server's next line; it writes one for each command."""
        end_s, line = time.monotonic() + within_s, b""
        while not line.endswith(b"\n"):
            left_s = max(0.0, end_s - time.monotonic())
            if not select.select([self._process.stdout], [], [], left_s)[0]:
                raise TimeoutError(f"the RTSP server said nothing within {within_s:g} s")
            byte = os.read(self._process.stdout.fileno(), 1)
            assert byte, f"the RTSP server has ended: {self._process.wait(ANSWER_S)}"
            line += byte
        return line.decode().strip()


# From here on: what runs in the server's process.


@dataclass(frozen=True)
class Unit:
    """What one packet of the clip becomes: RTP payloads, and when it is sent and shown."""

    sound: bool
    due_s: float
    shown_s: float
    payloads: tuple[bytes, ...]


@dataclass(frozen=True)
class Clip:
    """A clip cut into units, with its session description."""

    units: tuple[Unit, ...]
    length_s: float
    sound_clock: int
    sdp: bytes


def read_clip(path: str) -> Clip:
    """The clip at `path`: H.264, and AAC if it has sound."""
    with av.open(path) as container:
        video = container.streams.video[0]
        sound = next((s for s in container.streams.audio if s.codec_context.name == "aac"), None)
        header = bytes(video.codec_context.extradata)
        sps, pps = parameter_sets(header)
        units, length_s = [], 0.0
        for packet in container.demux(*[s for s in (video, sound) if s is not None]):
            if packet.dts is None or packet.pts < 0:
                continue
            due_s, shown_s = (float(t * packet.time_base) for t in (packet.dts, packet.pts))
            length_s = max(length_s, shown_s + float(packet.duration * packet.time_base))
            if packet.stream is video:
                nals = list(nals_of(bytes(packet), (header[4] & 3) + 1))
                if packet.is_keyframe:
                    nals = [sps, pps, *nals]
                payloads = tuple(part for nal in nals for part in fragments(nal))
            else:
                data = bytes(packet)
                payloads = (struct.pack(">HH", 16, len(data) << 3) + data,)
            units.append(Unit(packet.stream is sound, due_s, shown_s, payloads))
        clock = sound.codec_context.sample_rate if sound else 0
        return Clip(tuple(units), length_s, clock, description(sps, pps, sound))


def parameter_sets(header: bytes) -> tuple[bytes, bytes]:
    """SPS and PPS of an avcC box."""
    sps_size = int.from_bytes(header[6:8])
    pps = 8 + sps_size + 3
    return header[8 : 8 + sps_size], header[pps : pps + int.from_bytes(header[pps - 2 : pps])]


def nals_of(data: bytes, length_size: int):
    """The NAL units of an mp4 packet, parameter sets left out."""
    place = 0
    while place < len(data):
        size = int.from_bytes(data[place : place + length_size])
        place += length_size
        if data[place] & 31 not in (7, 8):
            yield data[place : place + size]
        place += size


def fragments(nal: bytes):
    """RTP payloads of a NAL unit (RFC 6184): itself, or FU-A parts."""
    if len(nal) <= LARGEST_PAYLOAD:
        yield nal
        return
    head, body = nal[0], nal[1:]
    parts = [body[i : i + LARGEST_PAYLOAD - 2] for i in range(0, len(body), LARGEST_PAYLOAD - 2)]
    for number, part in enumerate(parts):
        edge = (0x80 if number == 0 else 0) | (0x40 if number == len(parts) - 1 else 0)
        yield bytes([(head & 0xE0) | 28, edge | (head & 31)]) + part


def description(sps: bytes, pps: bytes, sound) -> bytes:
    """The SDP of a clip."""
    sets = ",".join(base64.b64encode(one).decode() for one in (sps, pps))
    lines = [
        "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=test", "c=IN IP4 127.0.0.1", "t=0 0", "a=control:*",
        f"m=video 0 RTP/AVP {VIDEO_TYPE}", f"a=rtpmap:{VIDEO_TYPE} H264/{VIDEO_CLOCK}",
        f"a=fmtp:{VIDEO_TYPE} packetization-mode=1;profile-level-id={sps[1:4].hex()};"
        f"sprop-parameter-sets={sets}",
        "a=control:track0",
    ]  # fmt: skip
    if sound is not None:
        context = sound.codec_context
        lines += [
            f"m=audio 0 RTP/AVP {SOUND_TYPE}",
            f"a=rtpmap:{SOUND_TYPE} MPEG4-GENERIC/{context.sample_rate}/{context.channels}",
            f"a=fmtp:{SOUND_TYPE} streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;"
            f"indexlength=3;indexdeltalength=3;config={bytes(context.extradata).hex()}",
            "a=control:track1",
        ]
    return ("\r\n".join(lines) + "\r\n").encode()


class Track:
    """One RTP stream to one client; `send(payload, is_report)` is how it gets there."""

    def __init__(self, payload_type: int, clock: int, send) -> None:
        self._type, self._clock, self._send = payload_type, clock, send
        self._ssrc = random.getrandbits(32)
        self._sequence = random.getrandbits(16)
        self._offset = random.getrandbits(32)
        self._reported_s = -REPORT_EVERY_S
        self._packets = self._bytes = 0

    async def unit(self, unit: Unit, media_s: float, wall_s: float) -> None:
        """Send a unit whose time is `media_s`, which is `wall_s` on the wall clock."""
        stamp = (round(media_s * self._clock) + self._offset) & 0xFFFFFFFF
        if media_s - self._reported_s >= REPORT_EVERY_S:
            self._reported_s = media_s
            ntp = round((wall_s + NTP_EPOCH_S) * 2**32) & (2**64 - 1)
            report = struct.pack(">BBHIQIII", 0x80, 200, 6, self._ssrc, ntp, stamp,
                                 self._packets, self._bytes)  # fmt: skip
            await self._send(report, True)
        for number, payload in enumerate(unit.payloads):
            last = 0x80 if number == len(unit.payloads) - 1 else 0
            self._sequence = (self._sequence + 1) & 0xFFFF
            head = struct.pack(">BBHII", 0x80, last | self._type, self._sequence, stamp, self._ssrc)
            self._packets += 1
            self._bytes += len(payload)
            await self._send(head + payload, False)


class Server:
    """Answers clients and plays the clip to each of them."""

    def __init__(self, settings: argparse.Namespace) -> None:
        self.settings = settings
        self.clip = read_clip(settings.clip)
        self.nonce = f"{random.getrandbits(128):032x}"
        self.writers: set[asyncio.StreamWriter] = set()
        self.frames_sent = 0

    async def serve(self) -> None:
        """Listen, and take commands from stdin until it closes."""
        server = await asyncio.start_server(self._client, "127.0.0.1", self.settings.port)
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        print("ready", flush=True)  # noqa: T201 - the parent waits for it
        async with server:
            while line := (await reader.readline()).decode().strip():
                print(self._command(line), flush=True)  # noqa: T201

    def _command(self, line: str) -> str:
        word, _, rest = line.partition(" ")
        if word == "switch":
            self.clip = read_clip(rest)
        elif word == "drop":
            for writer in list(self.writers):
                writer.transport.abort()
        return f"{self.frames_sent} {len(self.writers)}"

    async def _client(self, reader, writer) -> None:
        self.writers.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await Client(self, reader, writer).talk()
        finally:
            self.writers.discard(writer)
            writer.close()

    def allows(self, method: str, header: str) -> bool:
        """Whether an Authorization header is the right one."""
        user, password = self.settings.user, self.settings.password
        if user is None:
            return True
        if self.settings.scheme == "basic":
            return header == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        field = dict(re.findall(r'(\w+)="([^"]*)"', header))
        first, second = (
            hashlib.md5(text.encode()).hexdigest()
            for text in (f"{user}:test:{password}", f"{method}:{field.get('uri', '')}")
        )
        right = hashlib.md5(f"{first}:{self.nonce}:{second}".encode()).hexdigest()
        return field.get("response") == right and field.get("username") == user

    @property
    def challenge(self) -> str:
        """The WWW-Authenticate header."""
        if self.settings.scheme == "basic":
            return 'WWW-Authenticate: Basic realm="test"'
        return f'WWW-Authenticate: Digest realm="test", nonce="{self.nonce}"'


class Client:
    """One connection: the RTSP talk, and the task that plays."""

    def __init__(self, server: Server, reader, writer) -> None:
        self._server, self._reader, self._writer = server, reader, writer
        self._tracks: dict[bool, Track] = {}
        self._sockets: list[asyncio.DatagramTransport] = []
        self._player: asyncio.Task | None = None

    async def talk(self) -> None:
        """Answer requests until the client leaves."""
        try:
            while (request := await self._request()) is not None:
                method, url, fields = request
                status, lines, body = await self._answer(method, url, fields)
                lines = [f"RTSP/1.0 {status}", f"CSeq: {fields.get('cseq', '0')}", *lines]
                self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                await self._writer.drain()
                if method == "PLAY" and status.startswith("200"):
                    self._player = asyncio.create_task(self._play())
                if method == "TEARDOWN":
                    return
        finally:
            if self._player is not None:
                self._player.cancel()
            for one in self._sockets:
                one.close()

    async def _request(self):
        """Method, URL and header fields of the next request; what players report is skipped."""
        while True:
            byte = await self._reader.readexactly(1)
            if byte != b"$":
                break
            size = struct.unpack(">BH", await self._reader.readexactly(3))[1]
            await self._reader.readexactly(size)
        lines = (byte + await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
        fields = {name.strip().lower(): value.strip() for name, value in pairs}
        await self._reader.readexactly(int(fields.get("content-length", 0)))
        method, url, _ = lines[0].split(" ")
        return method, url, fields

    async def _answer(self, method: str, url: str, fields: dict[str, str]):
        """Status, header lines and body."""
        if method == "OPTIONS":
            return "200 OK", [f"Public: {OPTIONS}"], b""
        if not self._server.allows(method, fields.get("authorization", "")):
            return "401 Unauthorized", [self._server.challenge], b""
        if "/stream" not in url:
            return "404 Not Found", [], b""
        if method == "DESCRIBE":
            body = self._server.clip.sdp
            lines = [f"Content-Base: {url}/", "Content-Type: application/sdp"]
            return "200 OK", [*lines, f"Content-Length: {len(body)}"], body
        if method == "SETUP":
            return await self._setup(url, fields["transport"])
        return "200 OK", ["Session: 1"], b""

    async def _setup(self, url: str, wanted: str):
        sound = url.endswith("track1")
        tcp = "interleaved" in wanted or "TCP" in wanted
        if ("tcp" if tcp else "udp") not in self._server.settings.transports.split(","):
            return "461 Unsupported Transport", [], b""
        if tcp:
            channel = 2 * sound
            send = self._interleaved(channel)
            transport = f"RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}"
        else:
            port = int(wanted.split("client_port=")[1].split("-")[0])
            send, own = await self._datagrams(port)
            transport = f"RTP/AVP;unicast;client_port={port}-{port + 1};server_port={own}-{own + 1}"
        kind, clock = VIDEO_TYPE, VIDEO_CLOCK
        if sound:
            kind, clock = SOUND_TYPE, self._server.clip.sound_clock
        self._tracks[sound] = Track(kind, clock, send)
        return "200 OK", [f"Transport: {transport}", "Session: 1"], b""

    def _interleaved(self, channel: int):
        async def send(data: bytes, is_report: bool) -> None:
            self._writer.write(struct.pack(">cBH", b"$", channel + is_report, len(data)) + data)
            await self._writer.drain()

        return send

    async def _datagrams(self, port: int):
        loop = asyncio.get_running_loop()
        pair = []
        for number in (port, port + 1):
            one, _ = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=("127.0.0.1", number)
            )
            pair.append(one)
        self._sockets += pair

        async def send(data: bytes, is_report: bool) -> None:
            pair[is_report].sendto(data)

        return send, pair[0].get_extra_info("sockname")[1]

    async def _play(self) -> None:
        """The clip again and again, in real time; a switched clip begins at once."""
        began_s = time.monotonic() - self._server.settings.burst
        wall_s, media_s = time.time() - began_s, 0.0
        with contextlib.suppress(ConnectionError):
            while True:
                clip = self._server.clip
                for unit in clip.units:
                    if clip is not self._server.clip:
                        break
                    late_s = time.monotonic() - began_s - media_s - unit.due_s
                    if late_s < 0:
                        await asyncio.sleep(-late_s)
                    elif late_s > LARGEST_DELAY_S + self._server.settings.burst:
                        began_s += late_s
                    if track := self._tracks.get(unit.sound):
                        at_s = media_s + unit.shown_s
                        await track.unit(unit, at_s, wall_s + began_s + at_s)
                        self._server.frames_sent += not unit.sound
                # A switch in mid-clip goes on at the time that has been reached.
                media_s = max(media_s, time.monotonic() - began_s) if unit is not clip.units[-1] \
                    else media_s + clip.length_s  # fmt: skip


def settings_of(arguments: list[str]) -> argparse.Namespace:
    """The command line of the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clip")
    parser.add_argument("--port", type=int, default=8554)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--scheme", choices=("digest", "basic"), default="digest")
    parser.add_argument("--transports", default="tcp,udp")
    parser.add_argument("--burst", type=float, default=0.0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(Server(settings_of(sys.argv[1:])).serve())
