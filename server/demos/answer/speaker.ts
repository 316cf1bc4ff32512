import { setTimeout as sleep } from 'node:timers/promises'
import type { FailureReason } from '../../../shared/demos/answer'

/** Who answers. */
export interface Speaker {
  /** Null for one that is no model. */
  readonly model: string | null
  /** Yields the answer piece by piece. When the signal aborts it lets go of everything, and throws. @throws SpeakerError */
  speak: (question: string, signal: AbortSignal) => AsyncIterable<string>
}

export class SpeakerError extends Error {
  override readonly name = 'SpeakerError'
  constructor(
    readonly reason: FailureReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** A speaker that recites, word by word, whatever it is asked. */
export function builtInSpeaker(delay: number = 35): Speaker {
  return {
    model: null,
    async *speak(question, signal) {
      for (const word of wordsOf(/\p{Script=Han}/u.test(question) ? CHINESE : ENGLISH)) {
        await sleep(delay, undefined, { signal })
        yield word
      }
    },
  }
}

/** Pieces as a model gives them: a word and what follows it, or two Chinese characters. */
export function wordsOf(text: string): string[] {
  return text.match(/\p{Script=Han}{1,2}[，。：；、]?\n*|[^\p{Script=Han}\s]+\s*|\s+/gu) ?? []
}

const ENGLISH = `I am **not a model**. I am a few paragraphs that this server recites, so that you can watch an answer arrive without a key. Set \`OPENAI_BASE_URL\` and I step aside.

## What you are looking at

Each answer is a *channel*. The server writes into it, word by word, whether or not anyone is listening, and every screen with the link reads along:

1. Reload this page: the answer **continues**. Nobody is asked twice.
2. Open the link on your phone: the same words, at the same time.
3. Press Stop on either: it stops for both, and the request to the model is cancelled.

## How it works

A newcomer gets one \`snapshot\` with the text so far, then the words that follow:

\`\`\`text
event: snapshot
id: kD93n:41
data: {"text":"I am not a model. I am","state":"streaming"}

event: delta
id: kD93n:42
data: {"at":22,"text":" a few"}
\`\`\`

Each \`delta\` says *where* it belongs, so hearing it twice does no harm.

| | a response to a POST | a channel |
|---|---|---|
| after a cut | start over, and pay again | continues |
| a second tab | no | the same answer |
| stop | only in this tab | for everyone |

> A stream is a conversation with someone who may walk through a tunnel. Do not repeat the question: wait, and go on.

And if an answer contains HTML, such as <b>this</b> or <img src=x onerror=alert(1)>, you see it as text. The standard is at [html.spec.whatwg.org](https://html.spec.whatwg.org/multipage/server-sent-events.html).
`

const CHINESE = `我**不是模型**。我只是服务器背诵的几段话，让你没有密钥也能看到回答是怎样逐字到达的。设置 \`OPENAI_BASE_URL\` 后，就轮到真正的模型来回答。

## 你看到的是什么

每个回答都是一个*频道*。服务器逐字写入频道，不管有没有人在听；拿到链接的每块屏幕都能同步阅读：

1. 刷新页面：回答会**接着输出**，不会再问一遍。
2. 在手机上打开链接：同样的文字，同时出现。
3. 在任意一处点击“停止”：所有屏幕一起停止，对模型的请求也会取消。

## 工作原理

新加入的页面先收到一个 \`snapshot\`，里面是目前的全部文字，随后是新增的内容：

\`\`\`text
event: snapshot
id: kD93n:41
data: {"text":"我不是模型。我只是","state":"streaming"}

event: delta
id: kD93n:42
data: {"at":9,"text":"服务器"}
\`\`\`

每个 \`delta\` 都写明自己的*位置*，重复收到也没有影响。

| | POST 的响应 | 频道 |
|---|---|---|
| 断线之后 | 从头再来，再付一次费 | 接着输出 |
| 第二个标签页 | 看不到 | 同一个回答 |
| 停止 | 只对当前标签页有效 | 对所有人有效 |

> 事件流就像和一个正要穿过隧道的人通话：不必把问题再问一遍，等一等，接着听。

如果回答里有 HTML，比如 <b>这样</b> 或 <img src=x onerror=alert(1)>，你看到的只是文本。标准见 [html.spec.whatwg.org](https://html.spec.whatwg.org/multipage/server-sent-events.html)。
`
