// Package ingest turns sound files and texts into clips that are proven to air
// right.
//
// Any sound that ffmpeg reads, or text through a speech program, becomes an air
// clip: 48 kHz mono MP3 at a constant bit rate, trimmed, levelled by a constant
// gain to [TargetLUFS] with a limiter for the few peaks that would pass
// [CeilingDBTP]. Then the decoder of the player and ffmpeg both decode it, and
// the results are compared with each other and with the source. A clip that
// would not air right is refused with an [ErrRefused] whose message an operator
// can act on.
//
// The child processes get an open file instead of a name, no network, no place
// to write and limits on time and memory. The caller passes in the decoder and
// the door check, because only the player may own them.
package ingest
