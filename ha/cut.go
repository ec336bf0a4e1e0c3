package ha

import "github.com/havenmq/havenmq/persist"

// cutPoint says up to where a replica's log, of that history and end, is the same as the master's: the largest epoch that
// both have decides, down to the point where either left it (KIP-101). Equal epoch and position imply equal logs below. Both histories
// are oldest first, and may have lost their oldest epochs.
func cutPoint(master []persist.EpochStart, masterEnd persist.Pos, replica []persist.EpochStart, replicaEnd persist.Pos) persist.Pos {
	i, j := len(master)-1, len(replica)-1
	for i >= 0 && j >= 0 {
		switch a, b := master[i].Epoch, replica[j].Epoch; {
		case a > b:
			i--
		case b > a:
			j--
		case master[i].Start != replica[j].Start: // one epoch has one beginning: what is before it decides
			i--
			j--
		default:
			return min(epochEnd(master, i, masterEnd), epochEnd(replica, j, replicaEnd))
		}
	}
	return 0
}

// epochEnd is where the i-th epoch ends: where the next begins.
func epochEnd(h []persist.EpochStart, i int, end persist.Pos) persist.Pos {
	if i+1 < len(h) {
		return h[i+1].Start
	}
	return end
}
