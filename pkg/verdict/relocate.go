package verdict

import (
	"debug/elf"
	"fmt"
)

// strangeRelocation gives the first relocation in a loaded section that the
// kernel of the machine does not know, 0 without one. Only arm64 is looked at:
// its compiler makes such ones, of weak symbols without -fno-pic.
func (im *image) strangeRelocation() uint32 {
	if elf.Machine(im.header.Machine) != elf.EM_AARCH64 || !im.Is64 {
		return 0
	}
	const size = 24 // Elf64_Rela: offset, info, addend; the type is info's low half
	for _, s := range im.sections {
		if s.Type != uint32(elf.SHT_RELA) || uint64(s.Info) >= uint64(len(im.sections)) ||
			elf.SectionFlag(im.sections[s.Info].Flags)&elf.SHF_ALLOC == 0 {
			continue
		}
		for rest := im.content(s); len(rest) >= size; rest = rest[size:] {
			if t := uint32(im.Order.Uint64(rest[8:])); !arm64Relocates(t) { //nolint:gosec // the low half
				return t
			}
		}
	}
	return 0
}

// arm64Relocates: apply_relocate_add in arch/arm64/kernel/module.c; none of the
// relocations through a global offset table.
func arm64Relocates(t uint32) bool {
	return t == 0 || t >= 256 && t <= 293 && t != 281 || t == uint32(elf.R_AARCH64_LDST128_ABS_LO12_NC)
}

// relocations is apply_relocations.
func (g *judging) relocations() outcome {
	if g.strange == 0 {
		return fine()
	}
	line := g.sayLine("module %s: unsupported RELA relocation: %d", g.elf.Name, g.strange)
	return outcome{NotModule, eNOEXEC, line, ruleRelocation, fmt.Sprintf("the kernel's loader does not know relocation %d: the module was compiled without the kernel's own flags", g.strange)}
}
