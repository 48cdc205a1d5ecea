import type { Fact } from './fact.js'
import { resultFacts } from './results.js'
import { sessionFacts } from './sessions.js'
import { surroundingFacts } from './surroundings.js'
import { talkFacts } from './talk.js'

/** Everything about the CLI that our code relies on. */
export const FACTS: readonly Fact[] = [...talkFacts, ...resultFacts, ...sessionFacts, ...surroundingFacts]
