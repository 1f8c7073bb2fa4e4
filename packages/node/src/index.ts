// @kqpoll/node: Node objects as descriptors.
export {};
