// Package ingest turns whatever people hand in into clips that are proven to
// air right.
//
// Any sound that ffmpeg reads, or text through a speech program, becomes an
// air clip: 48 kHz mono MP3 at a constant bit rate, trimmed, levelled by a
// constant gain to [TargetLUFS] with a limiter for the few peaks that would
// pass [CeilingDBTP]. Then it is decoded by the very decoder that airs it, by
// ffmpeg, and compared with both ffmpeg's opinion and the source. What would
// not air right is refused at the desk with an [ErrRefused] whose message an
// operator can act on.
//
// The children get an open file instead of a name, no network, no place to
// write and limits on time and memory. The decoder and the door check are
// handed in, as only the player may own them.
package ingest
