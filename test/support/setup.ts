import { afterAll } from 'vitest';
import { removeDirectories } from './directories.js';
import { tellLeftOut } from './left-out.js';

afterAll(removeDirectories);
afterAll(tellLeftOut);
