// Package asrun is the as-run log (播出记录): its rows, how a row is claimed and
// ended, and the reach that is derived from them. A row is written once and never
// edited.
package asrun
