#!/usr/bin/env node
import '../dist/cli/qsnap-img.js';
