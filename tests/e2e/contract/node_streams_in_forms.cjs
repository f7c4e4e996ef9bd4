// FormData that takes a file's stream, as those of npm's form libraries do. Node's own makes the text "[object Object]" of it.
const fs = require('node:fs');
const path = require('node:path');

const append = FormData.prototype.append;
FormData.prototype.append = function (name, value, ...rest) {
  if (!(value instanceof fs.ReadStream)) return append.call(this, name, value, ...rest);
  return append.call(this, name, new Blob([fs.readFileSync(value.path)]), path.basename(value.path));
};
