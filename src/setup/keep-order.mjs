// Comes before tap, which sorts by name the files that it is given (@tapjs/run, list.js), or shuffles them: they begin
// in the order of the command line. It has no setting for that, and compares names of test files nowhere else.
const order = new Map(process.argv.map((argument, index) => [argument, index]))
const { localeCompare } = String.prototype

// In the one process of tap, and for names of its arguments only.
/** @this {string} @param {string} other @param {any[]} rest */
// oxlint-disable-next-line no-extend-native
String.prototype.localeCompare = function compare(other, ...rest) {
  const [mine, its] = [order.get(this), order.get(other)]
  return mine === undefined || its === undefined ? localeCompare.call(this, other, ...rest) : mine - its
}
