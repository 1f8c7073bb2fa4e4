// A scene for the chat: people who connect, talk, stall, reset and leave. Before they go on, they
// wait for certain lines, so that each of them receives the same lines on any network.

/** A connection to the server, from a client's side. */
export interface Peer {
	/** Sends text or bytes; done when they are sent, or cannot be sent any more. */
	send(data: string | Uint8Array): Promise<void>;
	/** Reads the next line; null at the end of the connection, however it ended. */
	line(): Promise<string | null>;
	/** Half-closes: it will send no more. */
	end(): void;
	/** Goes away without reading what is left. */
	reset(): void;
}

/** Connects a new client to the server. */
export type Dial = () => Promise<Peer>;

/** How long the lines of the flood are, and how many are sent at once. */
const FLOOD_LINE = 4000;
const FLOOD_BATCH = 16;

/** A person at a connection, and all lines that they have received. */
class Person {
	readonly lines: string[] = [];
	private readonly name: string;
	private readonly peer: Peer;
	private gone = false;

	constructor(name: string, peer: Peer) {
		this.name = name;
		this.peer = peer;
	}

	say(data: string | Uint8Array): Promise<void> {
		return this.peer.send(data);
	}

	/** Reads until a certain line comes, null for the end. */
	async waitFor(expected: string | null): Promise<void> {
		for (;;) {
			const line = await this.peer.line();
			this.lines.push(line ?? "(the end)");
			if (line === expected || line === null) return;
		}
	}

	/**
	 * Reads a batch of the flood, which begins with a number; returns other lines that come in
	 * between.
	 */
	async readFlood(from: number): Promise<string[]> {
		const others: string[] = [];
		for (let number = from; number < from + FLOOD_BATCH; ) {
			const line = await this.peer.line();
			if (line === floodLine("<ann> ", number)) number++;
			else others.push(line ?? "(the end)");
			if (line === null) break;
		}
		return others;
	}

	end(): void {
		this.peer.end();
	}

	/** Goes away without reading the rest. */
	reset(): void {
		if (this.gone) return;
		this.gone = true;
		this.peer.reset();
	}

	/** What the person has received, for printing. */
	transcript(): string[] {
		return [`${this.name} sees`, ...this.lines.map((line) => `    ${line}`)];
	}
}

function floodLine(before: string, number: number): string {
	return `${before}${String(number).padStart(6, "0")} `.padEnd(before.length + FLOOD_LINE, "~");
}

/** Plays the scene; returns what each person received, in the order in which they connected. */
export async function play(dial: Dial): Promise<string[]> {
	const people: Person[] = [];
	const arrives = async (name: string): Promise<Person> => {
		const person = new Person(name, await dial());
		people.push(person);
		await person.waitFor("* your name?");
		return person;
	};
	const all = (line: string, ...listeners: Person[]) =>
		Promise.all(listeners.map((person) => person.waitFor(line)));

	const ann = await arrives("ann");
	await ann.say("ann\n");
	await ann.waitFor("* hello ann; here: nobody else");

	// An invalid name, one that is taken, one that is free: three lines in one write.
	const bob = await arrives("bob");
	await bob.say("what is this?\nann\nbob\n");
	await bob.waitFor("* hello bob; here: ann");
	await ann.waitFor("* bob joined");

	// A name in pieces, with the line end of telnet.
	const cid = await arrives("cid");
	for (const piece of ["c", "id", "\r", "\n"]) await cid.say(piece);
	await cid.waitFor("* hello cid; here: ann, bob");
	await all("* cid joined", ann, bob);

	await ann.say("hello, both of you\n");
	await all("<ann> hello, both of you", bob, cid);
	await cid.say("one\n\ntwo\n/three\nfour\n");
	await cid.waitFor("* no such command: /three");
	await all("<cid> four", ann, bob);

	// Half a line, cut inside a letter; another client sends a line before the rest comes.
	const bytes = new TextEncoder().encode("schöne Grüße\n");
	await bob.say(bytes.subarray(0, 4));
	await ann.say("bob is typing\n");
	await all("<ann> bob is typing", bob, cid);
	await bob.say(bytes.subarray(4));
	await all("<bob> schöne Grüße", ann, cid);

	// A half-close: the last line is delivered, and the farewell comes.
	const dot = await arrives("dot");
	await dot.say("dot\n");
	await dot.waitFor("* hello dot; here: ann, bob, cid");
	await dot.say("so long\n");
	dot.end();
	await dot.waitFor(null);
	await all("* dot left", ann, bob, cid);

	// A reset, in the middle of a line that nobody gets.
	const eve = await arrives("eve");
	await eve.say("eve\n");
	await eve.waitFor("* hello eve; here: ann, bob, cid");
	await all("* eve joined", ann, bob, cid);
	await eve.say("half a l");
	eve.reset();
	await all("* eve left", ann, bob, cid);

	// Sam never reads again, while ann talks and talks. The others get every line of it.
	const sam = await arrives("sam");
	await sam.say("sam\n");
	await sam.waitFor("* hello sam; here: ann, bob, cid");
	await all("* sam joined", ann, bob, cid);
	await flood(ann, [bob, cid]);
	await ann.waitFor("* sam was too slow");
	sam.reset();

	await bob.say("/quit\n");
	await bob.waitFor(null);
	await all("* bob left", ann, cid);
	await ann.say(`${"x".repeat(10_000)}\n`);
	await ann.waitFor(null);
	await cid.waitFor("* ann left");
	cid.end();
	await cid.waitFor(null);
	for (const person of people) person.reset();
	return people.flatMap((person) => person.transcript());
}

/** Talks until all listeners have received another line; adds those lines to what they received. */
async function flood(speaker: Person, listeners: readonly Person[]): Promise<void> {
	for (let number = 0, over = false; !over; number += FLOOD_BATCH) {
		const lines = Array.from({ length: FLOOD_BATCH }, (_, i) => floodLine("", number + i));
		await speaker.say(`${lines.join("\n")}\n`);
		const others = await Promise.all(listeners.map((person) => person.readFlood(number)));
		over = others.every((lines) => lines.length > 0);
		if (!over) continue;
		for (const [i, person] of listeners.entries())
			person.lines.push("<ann> (many long lines, none missing)", ...(others[i] ?? []));
	}
}
