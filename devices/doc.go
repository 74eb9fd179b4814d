// Package devices is what a controller drives: sound cards through libasound, a
// WAV file or nothing at all at a card's pace, and the relay of an amplifier.
//
// [Open] opens an output's [Device]. Every device takes mono S16 frames at
// [playlist.Rate], sounds them from a ring of 200 ms, and reports exactly how
// far the sound has come. A device that has failed stays failed; close it and
// open another. No device ever plays silently into something that the site did
// not name.
package devices
