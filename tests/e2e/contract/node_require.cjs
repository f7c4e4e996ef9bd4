// The example is an ES module (it awaits at the top level) and yet calls require, as one may at Node's prompt.
globalThis.require = require;
