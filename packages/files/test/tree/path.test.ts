// What a path costs: its bytes are looked at a few times, however long it is and whatever it leads through.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { mkdir, stat, symlink, Tree } from "../../src/index.ts";
import { codeOf, machine } from "../machine.ts";

/** How many characters `act` looks at one by one, or hands to a regular expression. */
function charactersSeen(act: () => void): number {
	const { codePointAt } = String.prototype;
	const { exec } = RegExp.prototype;
	let seen = 0;
	String.prototype.codePointAt = function (at) {
		seen++;
		return codePointAt.call(this, at);
	};
	RegExp.prototype.exec = function (text) {
		seen += text.length;
		return exec.call(this, text);
	};
	try {
		act();
	} finally {
		String.prototype.codePointAt = codePointAt;
		RegExp.prototype.exec = exec;
	}
	return seen;
}

test("the bytes of a path that is far too long are not counted", () => {
	const { thread } = machine();
	const tree = new Tree();
	const path = "a".repeat(1_000_000);
	let code: unknown = null;
	const seen = charactersSeen(() => {
		code = codeOf(() => stat(thread, tree, path));
	});
	assert.equal([code, seen < 3000], ["ENAMETOOLONG", true]);
});

test("a path of hundreds of names is not looked at again for each of them", () => {
	const { thread } = machine();
	const tree = new Tree();
	const [few = 0, many = 0] = [50, 500].map((names) =>
		charactersSeen(() => stat(thread, tree, "./".repeat(names))),
	);
	assert.ok(many <= 11 * few, `${few} characters of 100, ${many} of 1000`);
});

test("slashes before, between and behind names do not matter, and a path of slashes is the root", () => {
	const { thread } = machine();
	const tree = new Tree();
	mkdir(thread, tree, "a///");
	mkdir(thread, tree, "///a////b//");
	symlink(thread, tree, "//a//", "link");
	const { ino } = stat(thread, tree, "a/b");
	for (const path of ["//a//b", "a//b///", "link/b", "link//b/", "/link///b"])
		assert.is(stat(thread, tree, path).ino, ino, path);
	assert.is(stat(thread, tree, "////").ino, stat(thread, tree, "/").ino);
	assert.is(
		codeOf(() => mkdir(thread, tree, "///")),
		"EISDIR",
	);
});

test.run();
