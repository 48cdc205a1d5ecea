/**
 * Each has its turn: one that fails must not keep all others from what they wait for.
 * @param mayGoOn looked at after each failure; where it rejects nobody's turn would succeed, and the rest is left
 * @throws the first failure, after the last turn
 */
export async function eachInTurn<Item>(
  items: readonly Item[],
  act: (item: Item) => Promise<unknown>,
  mayGoOn: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const failures: unknown[] = []
  for (const item of items) {
    try {
      await act(item)
    } catch (error) {
      failures.push(error)
      await mayGoOn()
    }
  }
  if (failures.length > 0) throw failures[0]
}
