// @kqpoll/kqueue/wait: sys/wait.h, what a wait status says.
export {
	WCOREDUMP,
	WEXITSTATUS,
	WIFCONTINUED,
	WIFEXITED,
	WIFSIGNALED,
	WIFSTOPPED,
	WSTOPSIG,
	WTERMSIG,
} from "./abi/wait.ts";
export type { WaitResult } from "./syscall/waitpid.ts";
