/**
 * Shell code that runs a command for as long as somebody holds its standard input open: the command ends with our process, even on
 * SIGKILL. Start it in a process group of its own.
 */
export const WHILE_HELD = `
exec 3<&0
"$@" </dev/null 3<&- &
command=$!
(read -r _ <&3; kill -TERM 0) &
wait "$command"
kill -TERM 0`
