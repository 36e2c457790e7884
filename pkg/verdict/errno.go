package verdict

// Errno is the name of the error number that a system call ends with; empty
// means none.
type Errno string

// The error numbers that module loading gives (include/uapi/asm-generic/errno*.h).
const (
	noError      Errno = ""
	ePERM        Errno = "EPERM"
	eNOENT       Errno = "ENOENT"
	eNOEXEC      Errno = "ENOEXEC"
	eINVAL       Errno = "EINVAL"
	eNODATA      Errno = "ENODATA"
	eNOPKG       Errno = "ENOPKG"
	eBADMSG      Errno = "EBADMSG"
	eMSGSIZE     Errno = "EMSGSIZE"
	eOPNOTSUPP   Errno = "EOPNOTSUPP"
	eNOKEY       Errno = "ENOKEY"
	eKEYREJECTED Errno = "EKEYREJECTED"
)
