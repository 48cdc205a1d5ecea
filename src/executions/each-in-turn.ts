/** Each has its turn: one that fails must not keep all others from what they wait for. @throws the first failure, after the last turn */
export async function eachInTurn<Item>(items: readonly Item[], act: (item: Item) => Promise<unknown>): Promise<void> {
  const failures: unknown[] = []
  for (const item of items) await act(item).catch((error: unknown) => failures.push(error))
  if (failures.length > 0) throw failures[0]
}
