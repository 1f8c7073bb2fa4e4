// @kqpoll/kqueue/fcntl: fcntl.h, the numbers of fcntl and of open files.
export {
	F_DUPFD,
	F_DUPFD_CLOEXEC,
	F_GETFD,
	F_GETFL,
	F_SETFD,
	F_SETFL,
	FD_CLOEXEC,
	O_APPEND,
	O_ASYNC,
	O_DSYNC,
	O_NONBLOCK,
	O_SYNC,
} from "./abi/constants.ts";
