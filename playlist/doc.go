// Package playlist says what a village hears and when.
//
// It holds the domain's values and the rules between them: clips, playlists, slots,
// when they fall due, the rank ladder, quiet hours, areas. What airs is decided in
// schedule/, what aired is in asrun/, what an alert means in emergency/. None of it
// touches a disk, a socket, a sound card or a clock: given a [Programme] and two
// instants, [Timetable.Due] always returns the same.
package playlist
