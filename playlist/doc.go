// Package playlist says what a village hears and when.
//
// It holds the domain and its rules: clips, playlists, slots, airings, the
// rank ladder, quiet hours, the as-run log's rows and the reach derived from
// them. It touches no disk, socket, sound card or clock: given a [Programme]
// and two instants, [Timetable.Due] always answers the same.
package playlist
