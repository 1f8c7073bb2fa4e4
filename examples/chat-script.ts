// A scene for the chat: people who connect, talk, stall, reset and leave. Each waits for what it must
// have heard before it goes on, so that what each hears is the same on any network.

/** A connection to the server, from a client's side. */
export interface Peer {
	/** Sends text or bytes; done when they are on their way, or can go nowhere. */
	send(data: string | Uint8Array): Promise<void>;
	/** The next line; null at the end of the connection, however it ended. Nothing is read before. */
	line(): Promise<string | null>;
	/** Will send no more: a half-close. */
	end(): void;
	/** Goes away without reading what is left. */
	reset(): void;
}

/** Who connects to the server. */
export type Dial = () => Promise<Peer>;

/** How long the lines of the flood are, and how many are sent at once. */
const FLOOD_LINE = 4000;
const FLOOD_BATCH = 16;

/** Somebody at a connection, and all that they have heard. */
class Person {
	readonly heard: string[] = [];
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

	/** Listens until a line is heard, null for the end. */
	async hears(expected: string | null): Promise<void> {
		for (;;) {
			const line = await this.peer.line();
			this.heard.push(line ?? "(the end)");
			if (line === expected || line === null) return;
		}
	}

	/** Listens to a batch of the flood that begins with a number; gives what else it hears in it. */
	async hearsFlood(from: number): Promise<string[]> {
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

	/** Goes away, whatever there is left to hear. */
	reset(): void {
		if (this.gone) return;
		this.gone = true;
		this.peer.reset();
	}

	/** What it has heard, to be printed. */
	transcript(): string[] {
		return [`${this.name} hears`, ...this.heard.map((line) => `    ${line}`)];
	}
}

function floodLine(before: string, number: number): string {
	return `${before}${String(number).padStart(6, "0")} `.padEnd(before.length + FLOOD_LINE, "~");
}

/** Plays the scene, and gives what each person heard, in the order in which they connected. */
export async function play(dial: Dial): Promise<string[]> {
	const people: Person[] = [];
	const arrives = async (name: string): Promise<Person> => {
		const person = new Person(name, await dial());
		people.push(person);
		await person.hears("* your name?");
		return person;
	};
	const all = (line: string, ...listeners: Person[]) =>
		Promise.all(listeners.map((person) => person.hears(line)));

	const ann = await arrives("ann");
	await ann.say("ann\n");
	await ann.hears("* hello ann; here: nobody else");

	// A name that is none, one that is taken, one that is free: three lines in one write.
	const bob = await arrives("bob");
	await bob.say("what is this?\nann\nbob\n");
	await bob.hears("* hello bob; here: ann");
	await ann.hears("* bob joined");

	// A name in pieces, with the line end of a telnet.
	const cid = await arrives("cid");
	for (const piece of ["c", "id", "\r", "\n"]) await cid.say(piece);
	await cid.hears("* hello cid; here: ann, bob");
	await all("* cid joined", ann, bob);

	await ann.say("hello, both of you\n");
	await all("<ann> hello, both of you", bob, cid);
	await cid.say("one\n\ntwo\n/three\nfour\n");
	await cid.hears("* no such command: /three");
	await all("<cid> four", ann, bob);

	// Half a line, cut within a letter; somebody else speaks before the rest comes.
	const bytes = new TextEncoder().encode("schöne Grüße\n");
	await bob.say(bytes.subarray(0, 4));
	await ann.say("bob is typing\n");
	await all("<ann> bob is typing", bob, cid);
	await bob.say(bytes.subarray(4));
	await all("<bob> schöne Grüße", ann, cid);

	// A half-close: the last word is heard, and the farewell comes.
	const dot = await arrives("dot");
	await dot.say("dot\n");
	await dot.hears("* hello dot; here: ann, bob, cid");
	await dot.say("so long\n");
	dot.end();
	await dot.hears(null);
	await all("* dot left", ann, bob, cid);

	// A reset, in the middle of a line that nobody hears.
	const eve = await arrives("eve");
	await eve.say("eve\n");
	await eve.hears("* hello eve; here: ann, bob, cid");
	await all("* eve joined", ann, bob, cid);
	await eve.say("half a l");
	eve.reset();
	await all("* eve left", ann, bob, cid);

	// Somebody who never reads again, while ann talks and talks. The others hear every line of it.
	const sam = await arrives("sam");
	await sam.say("sam\n");
	await sam.hears("* hello sam; here: ann, bob, cid");
	await all("* sam joined", ann, bob, cid);
	await flood(ann, [bob, cid]);
	await ann.hears("* sam was too slow");
	sam.reset();

	await bob.say("/quit\n");
	await bob.hears(null);
	await all("* bob left", ann, cid);
	await ann.say(`${"x".repeat(10_000)}\n`);
	await ann.hears(null);
	await cid.hears("* ann left");
	cid.end();
	await cid.hears(null);
	for (const person of people) person.reset();
	return people.flatMap((person) => person.transcript());
}

/** Talks until everybody has heard something else; notes for each what that was, and whether all came. */
async function flood(speaker: Person, listeners: readonly Person[]): Promise<void> {
	for (let number = 0, over = false; !over; number += FLOOD_BATCH) {
		const lines = Array.from({ length: FLOOD_BATCH }, (_, i) => floodLine("", number + i));
		await speaker.say(`${lines.join("\n")}\n`);
		const others = await Promise.all(listeners.map((person) => person.hearsFlood(number)));
		over = others.every((heard) => heard.length > 0);
		if (!over) continue;
		for (const [i, person] of listeners.entries())
			person.heard.push("<ann> (many long lines, none missing)", ...(others[i] ?? []));
	}
}
