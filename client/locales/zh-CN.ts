import type { Messages } from './en'

export const zhCN: Messages = {
  title: 'Vue 3 的服务器发送事件（SSE）',
  tagline: '一个可以直接复制到项目里的组合式函数，一个小巧的 Express 服务端，中间一条消息也不丢。',
  language: 'English',
  status: {
    idle: '尚未开始',
    connecting: '正在连接……',
    open: '正在接收',
    reconnecting: '正在重连，第 {attempt} 次：{reason}',
    failed: '失败：{reason}',
    gaveUp: '重试 {attempt} 次后放弃：{reason}',
  },
  reason: {
    stopped: '已由您中止',
    finished: '服务器已发送完毕',
    'no-content': '服务器没有更多内容',
    ended: '服务器已结束输出',
    network: '连接中断',
    refused: '服务器拒绝了请求',
    http: '服务器拒绝了请求',
    'content-type': '服务器返回的不是事件流',
    'invalid-url': '地址无效',
    unsupported: '此浏览器不支持',
  },
  follow: {
    below: '跳到最新一行',
  },
  events: {
    title: '收到的事件',
    none: '还没有。请点击“发起调用”。',
    time: '时间',
    event: '事件',
    id: '编号',
    data: '数据',
  },
  code: {
    copy: '复制',
    copied: '已复制',
  },
  timestamps: {
    title: '时间戳',
    intro:
      '服务器每秒发送一次当前时间，共三十次，然后发送名为 close 的事件。中止之后再次发起，会从断开的地方继续；网络中断时，浏览器也会自动这样做。',
    start: '发起调用',
    stop: '中止输出',
    clear: '清空',
    output: '输出',
    client: '页面中',
    server: '服务端',
  },
}
