// Package schedule decides what airs and foresees it: the desk takes airings in hand
// as they fall due, Stand weighs each on its output, Plan foresees them, and Explain
// says why something sounded or did not. It reads no clock and touches no disk.
package schedule
