// Runs the command kqpoll in a pseudo-terminal, types, and compares what becomes of its programs. Needs
// Python, which has pseudo-terminals.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Command } from "./command.ts";

new Command("terminal", "usage: node --import tsx packages/tools/terminal.ts").parse(() => {});

/** Runs a command in a pseudo-terminal: waits for a text, and does the steps one second apart. */
const PTY = `
import fcntl, json, os, pty, select, struct, sys, termios, time
command, awaited, steps = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
output = b""
def listen(seconds, until=b"\\0"):
    global output
    end = time.time() + seconds
    while time.time() < end and until not in output:
        if not select.select([fd], [], [], 0.05)[0]:
            continue
        try:
            data = os.read(fd, 65536)
        except OSError:
            return False
        output += data
    return True
listen(30, awaited.encode())
for step in steps:
    listen(1)
    if isinstance(step, str):
        os.write(fd, step.encode())
    else:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", step[0], step[1], 0, 0))
listen(15)
status = os.waitpid(pid, 0)[1]
print(json.dumps([output.decode(), os.waitstatus_to_exitcode(status)]))
`;

/** Ends with the kinds of descriptors 0 and 1 for WASI, as one number in hexadecimal. */
const KINDS =
	"AGFzbQEAAAABDgNgAn9/AX9gAX8AYAAAAksCFndhc2lfc25hcHNob3RfcHJldmlldzENZmRfZmRzdGF0X2dldAAAFndhc2lf" +
	"c25hcHNob3RfcHJldmlldzEJcHJvY19leGl0AAEDAgECBQMBAAEHEwIGbWVtb3J5AgAGX3N0YXJ0AAIKIgEgAEEAQQAQABpB" +
	"AUEgEAAaQQAtAABBIC0AAEEEdHIQAQs=";
const CHARACTER_DEVICES = 0x22;

const folder = mkdtempSync(join(tmpdir(), "kqpoll-"));
const trace = join(folder, "trace");
const kinds = join(folder, "kinds.wasm");
writeFileSync(kinds, Buffer.from(KINDS, "base64"));
const GUESTS = "packages/wasi/test/guests";

/** Something that is typed, and what becomes of it. */
interface Case {
	readonly name: string;
	/** The command line behind "run". */
	readonly line: readonly string[];
	/** What is typed, or how large the window becomes: rows and columns. */
	readonly steps: readonly (string | [rows: number, columns: number])[];
	/** What is on the screen, but for the port that is printed. */
	readonly screen: string;
	readonly status: number;
	/** A signal that the guest has to get, by its number on the emulated machine. */
	readonly signal?: number;
}

const CASES: readonly Case[] = [
	{
		name: "a terminal is one for the program",
		line: [kinds],
		steps: [],
		screen: "",
		status: CHARACTER_DEVICES,
	},
	{
		name: "a terminal is one for the program in virtual time too",
		line: ["--virtual", kinds],
		steps: ["\x04"],
		screen: "",
		status: CHARACTER_DEVICES,
	},
	{
		name: "what is typed wakes a program asleep in poll",
		line: [`${GUESTS}/consumer.wasm`],
		steps: ["line 1\n", "line 2\n", "\x04"],
		screen: "line 1\r\nline 2\r\n2 lines, none missing\r\n",
		status: 0,
	},
	{
		name: "^C ends a program that is asleep",
		line: [`${GUESTS}/signals.wasm`, "sleep"],
		steps: ["\x03"],
		screen: "^C",
		status: 130,
	},
	{
		name: "^C ends a program that reads",
		line: [`${GUESTS}/signals.wasm`, "read"],
		steps: ["\x03"],
		screen: "^C",
		status: 130,
	},
	{
		name: "^C ends a program that does not wait",
		line: [`${GUESTS}/signals.wasm`, "spin"],
		steps: ["\x03"],
		screen: "^C",
		status: 130,
	},
	{
		name: "the size of the window reaches a program that is asleep, and does not wake it",
		line: [`${GUESTS}/signals.wasm`, "read"],
		steps: [[50, 100], "x\n"],
		screen: "x\r\nread returned 1\r\n",
		status: 0,
		signal: 28,
	},
];

async function run({
	line,
	steps,
	signal,
}: Case): Promise<[screen: string, status: number, signaled: boolean]> {
	// What it prints then says that it is about to start.
	const listens = line[0] !== "--virtual";
	const kqpoll = [process.execPath, "--import", "tsx", "packages/tools/kqpoll.ts", "run"];
	const command = [...kqpoll, ...(listens ? ["--listen", "0"] : []), "--trace", trace, ...line];
	const task = JSON.stringify([command, listens ? "listening" : "", steps]);
	const python = spawn("python3", ["-c", PTY, task], { stdio: ["ignore", "pipe", "inherit"] });
	const [output, status] = JSON.parse(await text(python.stdout)) as [string, number];
	const events = readFileSync(trace, "utf8");
	const signaled = signal === undefined || events.includes(`"signal":${signal}`);
	return [output.slice(listens ? output.indexOf("\n") + 1 : 0), status, signaled];
}

for (const each of CASES) {
	const got = JSON.stringify(await run(each));
	const expected = JSON.stringify([each.screen, each.status, true]);
	console.log(`${got === expected ? "ok  " : "FAIL"}  ${each.name}`);
	if (got === expected) continue;
	console.log(`      ${got}, not ${expected}`);
	process.exitCode = 1;
}
rmSync(folder, { recursive: true });
