// Package devices is what a controller drives: sound cards through libasound,
// a WAV file or nothing at all at a card's pace, and the relay of an
// amplifier.
//
// [Open] opens an output's [Device]. Every device keeps one promise: it takes
// mono S16 frames at [playlist.Rate], sounds them from a ring of 200 ms, and
// says exactly how far the sound has come. One that fails stays failed; close
// it and open another. None ever plays silently into something the site did
// not name.
package devices
