/**
 * Shell code that runs a command for as long as somebody holds its standard input open: the command ends with us, however we end, also
 * by SIGKILL. To be started in a process group of its own.
 */
export const WHILE_HELD = `
exec 3<&0
"$@" </dev/null 3<&- &
command=$!
(read -r _ <&3; kill -TERM 0) &
wait "$command"
kill -TERM 0`
