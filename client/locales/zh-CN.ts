import type { Messages } from './en'

export const zhCN: Messages = {
  title: 'Vue 3 服务器发送事件（SSE）',
  tagline: '一个复制即用的组合式函数，一个小巧的 Express 服务端，消息一条不丢。',
  language: 'English',
  pages: '演示',
  next: '下一页：{title}',
  notFound: {
    title: '页面不存在',
    text: '这个地址没有对应的页面：',
    home: '前往第一个演示',
  },
  status: {
    idle: '尚未开始',
    connecting: '正在连接……',
    open: '正在接收',
    reconnecting: '正在重连（第 {attempt} 次）：{reason}',
    failed: '连接失败：{reason}',
    gaveUp: '重连 {attempt} 次后放弃：{reason}',
    in: '{seconds} 秒后重试',
  },
  reason: {
    stopped: '已手动中止',
    finished: '服务器已发送完毕',
    'no-content': '服务器已无更多内容',
    ended: '服务器已结束响应',
    network: '连接中断',
    refused: '服务器拒绝了请求',
    http: '服务器拒绝了请求',
    'content-type': '服务器返回的不是事件流',
    timeout: '服务器长时间没有响应',
    'invalid-url': '地址无效',
    unsupported: '当前浏览器不支持',
  },
  trouble: {
    offline: '当前设备已离线。网络恢复后，会从断点继续接收。',
    network: '服务器没有响应：可能已停止、正在重启，或中间的网络出了问题。恢复后会从断点继续接收。',
    refused:
      '服务器有响应，但返回的不是事件流。EventSource 不会告诉页面原因：可能是连接数已达上限（503），也可能是地址不存在（404）。换用 fetch 传输方式就能看到原因。',
    http: '服务器返回了状态码 {status}。{message}',
    timeout: '服务器长时间没有任何数据，连接已视为失效，正在重新建立。',
  },
  follow: {
    below: '下方还有 {lines} 行',
  },
  events: {
    title: '收到的事件',
    none: '暂无事件，请点击“发起调用”。',
    time: '时间',
    event: '事件',
    id: 'ID',
    data: '数据',
  },
  stream: {
    start: '发起调用',
    now: '立即重试',
    stop: '中止输出',
    clear: '清空',
    output: '输出',
  },
  push: {
    content: '内容',
    push: '推送',
    over: '结束',
    token: '服务器要求提供推送令牌：',
  },
  code: {
    copy: '复制',
    copied: '已复制',
    notCopied: '浏览器不允许复制，请手动选中代码后复制。',
    all: '展开全部 {lines} 行',
    less: '收起',
    client: '客户端代码',
    server: '服务端代码',
  },
  timestamps: {
    title: '时间戳',
    intro:
      '服务器发送事件（SSE）就是一个不会结束的 HTTP 响应：服务器往里写一小段一小段的文本，浏览器把每一段作为一个事件交给页面；连接断开后，浏览器会自动重连，并告诉服务器最后收到的是哪个事件。\n这里的服务器每秒发送一次当前时间，共 30 次，最后发送一个 close 事件。中止后再次发起调用，会从上次的位置继续；连接中断时，浏览器也会自动重连，从断点继续接收。',
  },
  emitter: {
    title: 'Emitter',
    intro:
      '一个 emitter 对应一个响应及其完整的生命周期。这里每秒发送一条消息，共十条，最长十秒。无论以哪种方式结束，服务端都会收到一次通知，且只有一次——点击“中止输出”也不例外。',
    ending: '结束方式',
    complete: '正常完成',
    fail: '第三条消息后出错',
    hang: '第三条消息后不再发送，直到超时',
    log: '服务端触发的回调',
  },
  byHand: {
    title: '手写响应',
    intro:
      '让响应保持打开，再一行行往里写文本，这样就够了吗？推送一行试试：原始文本里能看到，EventSource 却什么也不显示，因为一个事件要以 data: 开头、以空行结尾。再推送一条带格式的看看。“结束”会结束响应，但浏览器并不知道已经发送完毕，于是又会重新连接。',
    framed: '按格式推送',
    raw: '响应的原始文本',
  },
  channel: {
    title: '频道',
    intro:
      '订阅同一个 ID 的所有页面都会收到推送的内容，换一个标签页也一样。还没有人订阅时推送的内容会保留下来。点击“结束”会终止所有人的订阅。',
    id: 'ID',
    idHelp: '1 到 64 个字符：A-Z、a-z、0-9、. _ ~ -',
  },
  reconnect: {
    title: '自动重连',
    intro:
      '服务器在一秒后断开每个连接，并让浏览器一秒后再来。每次连接都以“连接成功”开头。与此同时，页面每 0.4 秒推送一个数字：一个也不会少。',
  },
  wire: {
    title: '报文格式',
    intro:
      '同一个流请求两次：左边是原文，右边是 EventSource 解析出的事件。事件流就是文本：每行一个“字段: 值”，空行表示一个事件到此结束。',
    raw: '事件流的原文',
    try: '输入一段文本，看看会得到什么',
    event: '事件：',
    id: 'ID 现在是',
    retry: '重连前的等待时间现在是',
    comment: '注释，不会产生事件：',
    ignored: '已忽略：',
    none: '没有事件：既要有 data:，也要有结尾的空行。',
  },
}
