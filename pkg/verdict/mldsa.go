package verdict

// verifyMLDSA is crypto/mldsa.c (FIPS 204, pure ML-DSA with an empty context).
func verifyMLDSA(_ *publicKey, _ *signature) Errno { return eKEYREJECTED }
