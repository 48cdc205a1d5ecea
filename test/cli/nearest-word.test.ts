import t from 'tap'
import { toUsageFault } from '../../src/cli/command.js'
import { nearestWord } from '../../src/cli/nearest-word.js'

void t.test('a slip of the finger finds the word that was meant, another word finds none', async (t) => {
  const commands = ['run', 'list', 'cancel', 'resume', 'result', 'receipt', 'usage']
  for (const [said, meant] of [
    ['rnu', 'run'],
    ['lsit', 'list'],
    ['cancle', 'cancel'],
    ['reciept', 'receipt'],
    ['reslt', 'result'],
    ['Usage', 'usage'],
    ['serve', undefined],
    ['ls', undefined],
    ['', undefined],
  ] as const)
    t.equal(nearestWord(said, commands), meant, said)
})

void t.test('a flag that is not there is told with the one that is, and other faults as they are', async (t) => {
  const usage = 'Usage: x [flags]\n  --model NAME, --max-turns N\n  --json   see ---not-this'
  const fault = (message: string): string => toUsageFault(new Error(message), usage)
  t.equal(
    fault("Unknown option '--mdoel'. To specify a positional argument starting with a '-', place it at the end"),
    'unknown flag --mdoel; did you mean --model?',
  )
  t.equal(fault("Unknown option '--max-turn'"), 'unknown flag --max-turn; did you mean --max-turns?')
  t.equal(fault("Unknown option '-q'"), 'unknown flag -q')
  t.equal(fault('the id is empty'), 'the id is empty')
})
